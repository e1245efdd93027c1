"""pymongo against sheafd. SHEAFD_URI says where; prints a verdict per test."""

import datetime
import io
import os
import sys
import time
import traceback

import bson
import gridfs
import pymongo
from bson import Decimal128, Int64, ObjectId, Regex, Timestamp
from pymongo import DeleteOne, InsertOne, MongoClient, ReplaceOne, UpdateMany, UpdateOne
from pymongo.errors import BulkWriteError, CursorNotFound, DuplicateKeyError, OperationFailure, WriteError

URI = os.environ["SHEAFD_URI"]
# The name of the replica set that the server presents itself as, if it does.
REPLICA_SET = os.environ.get("SHEAFD_REPLICA_SET")
client = MongoClient(URI, serverSelectionTimeoutMS=10_000)
database = client["python_door"]


def fresh(name):
    collection = database[name]
    collection.drop()
    return collection


def refused(code, call):
    try:
        call()
    except OperationFailure as error:
        assert error.code == code, f"code {error.code}: {error}"
        return error
    raise AssertionError(f"should fail with {code}")


def test_handshake():
    # Members of a replica set say when.
    times = {"operationTime", "$clusterTime"} if REPLICA_SET else set()
    pong = client.admin.command("ping")
    assert pong["ok"] == 1.0 and set(pong) == {"ok"} | times, pong
    hello = client.admin.command("hello")
    assert hello["isWritablePrimary"] is True and hello.get("setName") == REPLICA_SET
    assert hello["maxWireVersion"] >= 21 and hello["logicalSessionTimeoutMinutes"] == 30
    kind = "ReplicaSetWithPrimary" if REPLICA_SET else "Single"
    assert client.topology_description.topology_type_name == kind
    version = client.server_info()["versionArray"]
    assert len(version) == 4 and version[0] == 8
    refused(59, lambda: client.admin.command("noSuchCommand"))


def test_insert_and_find():
    people = fresh("people")
    ada = people.insert_one({"name": "Ada", "born": 1815, "tags": ["math", "engine"]}).inserted_id
    assert isinstance(ada, ObjectId)
    many = people.insert_many([{"_id": n, "name": f"p{n}", "born": 1900 + n} for n in range(10)])
    assert many.inserted_ids == list(range(10))
    assert people.find_one({"_id": ada}) == {
        "_id": ada,
        "name": "Ada",
        "born": 1815,
        "tags": ["math", "engine"],
    }
    assert people.find_one({"tags": "engine"}, {"_id": 0, "name": 1}) == {"name": "Ada"}
    found = people.find({"born": {"$gte": 1905}}, {"born": 1}).sort("born", -1).skip(1).limit(2)
    assert list(found) == [{"_id": 8, "born": 1908}, {"_id": 7, "born": 1907}]
    assert people.count_documents({"born": {"$lt": 1905}}) == 6
    assert people.estimated_document_count() == 11
    assert sorted(people.distinct("born", {"_id": {"$in": [1, 2]}})) == [1901, 1902]
    assert people.find_one({"name": "nobody"}) is None


def test_every_type_comes_back_as_it_went():
    types = fresh("types")
    when = datetime.datetime(2024, 2, 29, 12, 30, 15, 123_000, tzinfo=datetime.timezone.utc)
    document = {
        "_id": 1,
        "double": 0.1,
        "text": "na\u00efve \U0001f600",
        "nested": {"a": {"b": [1, [2, {"c": 3}]]}},
        "binary": b"\x00\x01\xff",
        "uuid": bson.Binary(bytes(range(16)), 4),
        "oid": ObjectId("0123456789abcdef01234567"),
        "yes": True,
        "when": when,
        "none": None,
        "regex": Regex("^a.*b$", "im"),
        "code": bson.Code("x"),
        "int": 2**31 - 1,
        "long": Int64(5),
        "far": -(2**63),
        "stamp": Timestamp(7, 9),
        "decimal": Decimal128("1.230E+5"),
        "min": bson.MinKey(),
        "max": bson.MaxKey(),
    }
    types.insert_one(document)
    back = types.with_options(bson.CodecOptions(tz_aware=True)).find_one({"_id": 1})
    assert list(back) == list(document)
    for key, value in document.items():
        assert back[key] == value, (key, back[key])
    assert isinstance(back["long"], Int64) and type(back["int"]) is int
    assert str(back["decimal"]) == "1.230E+5"


def test_update_and_delete():
    stock = fresh("stock")
    stock.insert_many([{"_id": n, "qty": n * 10, "sizes": [n, n + 1]} for n in range(5)])
    result = stock.update_one({"_id": 1}, {"$inc": {"qty": 5}, "$set": {"note": "x"}})
    assert (result.matched_count, result.modified_count) == (1, 1)
    result = stock.update_many({"qty": {"$gte": 20}}, {"$push": {"sizes": 99}})
    assert (result.matched_count, result.modified_count) == (3, 3)
    result = stock.update_one({"_id": 77}, {"$setOnInsert": {"qty": 1}}, upsert=True)
    assert (result.matched_count, result.upserted_id) == (0, 77)
    result = stock.replace_one({"_id": 0}, {"qty": -1})
    assert result.modified_count == 1 and stock.find_one({"_id": 0}) == {"_id": 0, "qty": -1}
    stock.update_one({"_id": 2}, {"$set": {"sizes.$[big]": 0}}, array_filters=[{"big": {"$gt": 50}}])
    assert stock.find_one({"_id": 2})["sizes"] == [2, 3, 0]
    stock.update_one({"_id": 3}, [{"$set": {"double": {"$multiply": ["$qty", 2]}}}])
    assert stock.find_one({"_id": 3})["double"] == 60
    before = stock.find_one_and_update({"_id": 1}, {"$set": {"qty": 0}})
    assert before["qty"] == 15
    after = stock.find_one_and_update(
        {"_id": 1}, {"$inc": {"qty": 1}}, return_document=pymongo.ReturnDocument.AFTER
    )
    assert after["qty"] == 1
    assert stock.find_one_and_delete({"_id": 4})["qty"] == 40
    assert stock.delete_many({"_id": {"$lt": 2}}).deleted_count == 2
    assert stock.delete_one({"_id": 1000}).deleted_count == 0
    assert sorted(d["_id"] for d in stock.find()) == [2, 3, 77]


def test_bulk_writes():
    bulk = fresh("bulk")
    result = bulk.bulk_write(
        [
            InsertOne({"_id": 1, "n": 1}),
            InsertOne({"_id": 2, "n": 2}),
            UpdateOne({"_id": 1}, {"$inc": {"n": 10}}),
            UpdateMany({}, {"$set": {"seen": True}}),
            UpdateOne({"_id": 3}, {"$set": {"n": 3}}, upsert=True),
            ReplaceOne({"_id": 2}, {"n": 20}),
            DeleteOne({"_id": 1}),
        ]
    )
    assert (result.inserted_count, result.matched_count, result.modified_count) == (2, 4, 4)
    assert (result.deleted_count, result.upserted_count, result.upserted_ids) == (1, 1, {4: 3})
    assert list(bulk.find().sort("_id")) == [{"_id": 2, "n": 20}, {"_id": 3, "n": 3}]
    try:
        bulk.bulk_write([InsertOne({"_id": 2}), InsertOne({"_id": 4})])
    except BulkWriteError as error:
        (failed,) = error.details["writeErrors"]
        assert (failed["index"], failed["code"]) == (0, 11000)
        assert failed["keyPattern"] == {"_id": 1} and failed["keyValue"] == {"_id": 2}
        assert error.details["nInserted"] == 0
    else:
        raise AssertionError("a duplicate was taken")
    try:
        bulk.bulk_write([InsertOne({"_id": 2}), InsertOne({"_id": 4})], ordered=False)
    except BulkWriteError as error:
        assert error.details["nInserted"] == 1
    # More than a message or a batch may hold: the driver splits it.
    many = fresh("bulk_many")
    text = "x" * 1000
    ids = many.insert_many([{"_id": n, "text": text} for n in range(30_000)], ordered=False).inserted_ids
    assert len(ids) == 30_000 and many.count_documents({}) == 30_000
    many.drop()


def test_client_bulk_write():
    one, two = fresh("client_bulk_one"), fresh("client_bulk_two")
    result = client.bulk_write(
        [
            InsertOne({"_id": 1}, namespace=one.full_name),
            InsertOne({"_id": 2}, namespace=two.full_name),
            UpdateOne({"_id": 1}, {"$set": {"x": 1}}, namespace=one.full_name),
            DeleteOne({"_id": 2}, namespace=two.full_name),
        ],
        verbose_results=True,
    )
    assert (result.inserted_count, result.modified_count, result.deleted_count) == (2, 1, 1)
    assert result.insert_results[0].inserted_id == 1
    assert one.find_one() == {"_id": 1, "x": 1} and two.find_one() is None


def test_cursors():
    numbers = fresh("numbers")
    numbers.insert_many([{"_id": n} for n in range(1000)])
    cursor = numbers.find({}, batch_size=7).sort("_id", 1)
    assert [document["_id"] for document in cursor] == list(range(1000))
    cursor = numbers.find({}, batch_size=10)
    next(cursor)
    assert cursor.alive and cursor.cursor_id
    client.admin.command("ping")
    number = cursor.cursor_id
    cursor.close()
    error = refused(43, lambda: database.command("getMore", Int64(number), collection="numbers"))
    assert isinstance(error, CursorNotFound)
    with client.start_session() as session:
        cursor = numbers.find({}, batch_size=10, session=session)
        assert len([next(cursor) for _ in range(25)]) == 25
        assert session.session_id["id"].subtype == 4
    assert len(list(numbers.find().limit(5))) == 5
    assert len(numbers.find().batch_size(400).to_list()) == 1000


def test_aggregation():
    orders = fresh("orders")
    orders.insert_many(
        [{"_id": n, "who": ["a", "b", "c"][n % 3], "total": n * 1.5, "items": [n, n * 2]} for n in range(30)]
    )
    grouped = orders.aggregate(
        [
            {"$match": {"_id": {"$lt": 9}}},
            {"$group": {"_id": "$who", "sum": {"$sum": "$total"}, "n": {"$sum": 1}}},
            {"$sort": {"_id": 1}},
        ]
    )
    assert list(grouped) == [
        {"_id": "a", "sum": 13.5, "n": 3},
        {"_id": "b", "sum": 18.0, "n": 3},
        {"_id": "c", "sum": 22.5, "n": 3},
    ]
    people = fresh("order_people")
    people.insert_many([{"_id": "a", "name": "Ann"}, {"_id": "b", "name": "Bob"}])
    joined = orders.aggregate(
        [
            {"$match": {"_id": {"$in": [0, 2]}}},
            {"$lookup": {"from": people.name, "localField": "who", "foreignField": "_id", "as": "p"}},
            {"$project": {"names": "$p.name"}},
            {"$sort": {"_id": 1}},
        ]
    )
    assert list(joined) == [{"_id": 0, "names": ["Ann"]}, {"_id": 2, "names": []}]
    unwound = orders.aggregate([{"$unwind": "$items"}, {"$count": "n"}], batchSize=1)
    assert list(unwound) == [{"n": 60}]
    small_batches = orders.aggregate([{"$sort": {"_id": 1}}], batchSize=4)
    assert [d["_id"] for d in small_batches] == list(range(30))
    orders.aggregate([{"$match": {"who": "a"}}, {"$out": "order_copies"}])
    assert database["order_copies"].count_documents({}) == 10
    plan = database.command("explain", {"aggregate": "orders", "pipeline": [], "cursor": {}})
    assert plan["ok"] == 1.0
    refused(40324, lambda: list(orders.aggregate([{"$nothing": {}}])))


def test_indexes():
    users = fresh("users")
    assert users.create_index("mail", unique=True) == "mail_1"
    assert users.create_index([("age", -1), ("name", 1)], name="by_age") == "by_age"
    users.create_index("city", partialFilterExpression={"active": True}, sparse=False)
    information = users.index_information()
    assert sorted(information) == ["_id_", "by_age", "city_1", "mail_1"]
    assert information["mail_1"] == {"v": 2, "key": [("mail", 1)], "unique": True}
    assert information["by_age"]["key"] == [("age", -1), ("name", 1)]
    assert information["city_1"]["partialFilterExpression"] == {"active": True}
    users.insert_one({"mail": "a@x", "age": 5, "name": "a"})
    try:
        users.insert_one({"mail": "a@x"})
    except DuplicateKeyError as error:
        assert error.details["keyPattern"] == {"mail": 1} and error.details["keyValue"] == {"mail": "a@x"}
        assert "E11000" in str(error) and "mail_1" in str(error)
    else:
        raise AssertionError("a duplicate was taken")
    plan = users.find({"mail": "a@x"}).explain()["queryPlanner"]["winningPlan"]
    assert "IXSCAN" in str(plan), plan
    assert users.find({"age": 5}).hint("by_age").to_list()[0]["name"] == "a"
    users.drop_index("by_age")
    assert "by_age" not in users.index_information()
    users.drop_indexes()
    assert list(users.index_information()) == ["_id_"]


def test_catalog():
    name = "python_catalog"
    client.drop_database(name)
    other = client[name]
    other.create_collection("plain")
    other.create_collection(
        "checked", validator={"$jsonSchema": {"required": ["n"], "properties": {"n": {"bsonType": "int"}}}}
    )
    other.create_collection("view", viewOn="plain", pipeline=[{"$match": {"n": {"$gt": 1}}}])
    names = [name for name in other.list_collection_names() if not name.startswith("system.")]
    assert sorted(names) == ["checked", "plain", "view"]
    assert name in client.list_database_names()
    other.plain.insert_many([{"_id": n, "n": n} for n in range(4)])
    assert [d["_id"] for d in other.view.find().sort("_id", 1)] == [2, 3]
    try:
        other.checked.insert_one({"n": "text"})
    except WriteError as error:
        assert error.code == 121
    else:
        raise AssertionError("the validator was not asked")
    other.plain.rename("renamed")
    assert other.renamed.count_documents({}) == 4
    assert other.command("dbStats")["collections"] >= 2
    client.drop_database(name)
    assert name not in client.list_database_names()


def test_gridfs():
    bucket = gridfs.GridFSBucket(database, bucket_name="files", chunk_size_bytes=64 * 1024)
    database["files.files"].drop()
    database["files.chunks"].drop()
    data = bytes(range(256)) * 4096
    number = bucket.upload_from_stream("a.bin", io.BytesIO(data), metadata={"kind": "test"})
    assert database["files.chunks"].count_documents({"files_id": number}) == 16
    assert bucket.open_download_stream(number).read() == data
    (entry,) = bucket.find({"filename": "a.bin"})
    assert (entry.length, entry.metadata) == (len(data), {"kind": "test"})
    stream = bucket.open_download_stream_by_name("a.bin")
    stream.seek(70_000)
    assert stream.read(10) == data[70_000:70_010]
    bucket.rename(number, "b.bin")
    bucket.delete(number)
    assert database["files.chunks"].count_documents({}) == 0
    assert "files_id_1_n_1" in database["files.chunks"].index_information()


def test_transactions():
    accounts = fresh("accounts")
    accounts.insert_many([{"_id": 1, "n": 10}, {"_id": 2, "n": 0}])

    def move(session, amount):
        accounts.update_one({"_id": 1}, {"$inc": {"n": -amount}}, session=session)
        accounts.update_one({"_id": 2}, {"$inc": {"n": amount}}, session=session)

    def balances(session=None):
        return [document["n"] for document in accounts.find(session=session).sort("_id", 1)]

    with client.start_session() as session:
        if not REPLICA_SET:
            session.start_transaction()
            refused(20, lambda: move(session, 1))
            return
        with session.start_transaction():
            move(session, 4)
            assert balances(session) == [6, 4] and balances() == [10, 0]
        assert balances() == [6, 4]
        try:
            with session.start_transaction():
                move(session, 100)
                raise KeyError("changed my mind")
        except KeyError:
            pass
        assert balances() == [6, 4]
        session.with_transaction(lambda session: move(session, 1))
        assert balances() == [5, 5]
        with client.start_session() as other:
            session.start_transaction()
            other.start_transaction()
            move(session, 1)

            def lose():
                # The loser is told when it writes, or when it commits.
                move(other, 1)
                session.commit_transaction()
                other.commit_transaction()

            error = refused(112, lose)
            assert error.has_error_label("TransientTransactionError")
            if session.in_transaction:
                session.commit_transaction()
        assert balances() == [4, 6]


def test_concerns_limits_and_errors():
    things = fresh("things")
    unacknowledged = things.with_options(write_concern=pymongo.WriteConcern(w=0))
    for n in range(20):
        unacknowledged.insert_one({"_id": n})
    deadline = time.monotonic() + 10
    while things.count_documents({}) < 20:
        assert time.monotonic() < deadline, "unacknowledged writes were lost"
    majority = things.with_options(write_concern=pymongo.WriteConcern("majority", j=True))
    assert majority.insert_one({"_id": 20}).acknowledged
    refused(2, lambda: things.update_one({}, {"$set": {"a": 1}}, hint="nothing"))
    refused(9, lambda: things.update_one({}, {"$nothing": {"a": 1}}))
    refused(2, lambda: things.find_one({"$nothing": 1}))
    # The driver lets a little more through than a document may have; the server does not.
    error = refused(10334, lambda: things.insert_one({"_id": 99, "text": "x" * (16 << 20)}))
    assert isinstance(error, WriteError) and things.find_one({"_id": 99}) is None
    things.insert_one({"_id": 98, "text": "x" * ((16 << 20) - 100)})
    assert len(things.find_one({"_id": 98})["text"]) == (16 << 20) - 100
    things.delete_one({"_id": 98})
    assert things.find_one({"_id": 1}, max_time_ms=10_000) == {"_id": 1}
    assert things.find().comment("who asks").to_list(1)


def test_many_clients_at_once():
    import threading

    counters = fresh("counters")
    counters.insert_one({"_id": 1, "n": 0})
    failures = []

    def work():
        try:
            own = MongoClient(URI)
            for _ in range(50):
                own.python_door.counters.update_one({"_id": 1}, {"$inc": {"n": 1}})
            own.close()
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures, failures
    assert counters.find_one()["n"] == 400


def main():
    failed = 0
    tests = [(name, test) for name, test in globals().items() if name.startswith("test_")]
    for name, test in tests:
        begun = time.monotonic()
        try:
            test()
            print(f"--- PASS: pymongo/{name} ({time.monotonic() - begun:.2f}s)", flush=True)
        except Exception:
            failed += 1
            traceback.print_exc(file=sys.stdout)
            print(f"--- FAIL: pymongo/{name}", flush=True)
    client.drop_database(database.name)
    client.close()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
