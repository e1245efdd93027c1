//! The server describes its contracts, unless it is told not to.

use sheaf_server::server::Server;
use tokio_stream::StreamExt;
use tonic::Code;
use tonic::transport::Channel;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
use tonic_reflection::pb::v1::{ServerReflectionRequest, ServerReflectionResponse};

use crate::fixture::config;

async fn ask(server: &Server) -> Result<ServerReflectionResponse, tonic::Status> {
    let channel = Channel::from_shared(format!("http://{}", server.grpc())).unwrap().connect().await.unwrap();
    let request = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let mut client = ServerReflectionClient::new(channel);
    let mut answers = client.server_reflection_info(tokio_stream::once(request)).await?.into_inner();
    answers.next().await.unwrap()
}

#[tokio::test]
async fn the_services_are_listed() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(config(directory.path())).await.unwrap();
    let answer = ask(&server).await.unwrap();
    let Some(MessageResponse::ListServicesResponse(list)) = answer.message_response else {
        panic!("{answer:?}")
    };
    let names: Vec<_> = list.service.into_iter().map(|service| service.name).collect();
    for service in ["sheaf.v1.DocumentService", "sheaf.v1.CatalogService", "grpc.health.v1.Health"] {
        assert!(names.iter().any(|name| name == service), "{names:?}");
    }
}

#[tokio::test]
async fn reflection_can_be_switched_off() {
    let directory = tempfile::tempdir().unwrap();
    let mut config = config(directory.path());
    config.reflection = false;
    let server = Server::start(config).await.unwrap();
    assert_eq!(ask(&server).await.unwrap_err().code(), Code::Unimplemented);
}
