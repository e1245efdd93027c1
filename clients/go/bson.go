package sheaf

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// The BSON types that appear in this package's signatures and in most filters.
type (
	// D is a document whose fields are in order.
	D = bson.D
	// E is a field of a D.
	E = bson.E
	// M is a document whose fields are in no order.
	M = bson.M
	// A is an array.
	A = bson.A
	// Raw is an encoded document.
	Raw = bson.Raw
	// ObjectID is the usual kind of _id.
	ObjectID = bson.ObjectID
)

// NewObjectID makes an ObjectID that no other client makes.
func NewObjectID() ObjectID { return bson.NewObjectID() }

// emptyDocument is the encoding of a document without fields.
var emptyDocument = Raw{5, 0, 0, 0, 0}

// encode turns a value into a document. nil stays empty, which the server reads as the empty document or as
// "not given".
func encode(what string, value any) (Raw, error) {
	switch value := value.(type) {
	case nil:
		return nil, nil
	case Raw:
		return value, nil
	case []byte:
		return value, nil
	}
	var buffer bytes.Buffer
	encoder := bson.NewEncoder(bson.NewDocumentWriter(&buffer))
	encoder.UseJSONStructTags()
	if err := encoder.Encode(value); err != nil {
		return nil, invalid(fmt.Sprintf("%s cannot be encoded as BSON: %v", what, err), err)
	}
	return buffer.Bytes(), nil
}

// encodeAll turns each value into a document.
func encodeAll[V any](what string, values []V) ([][]byte, error) {
	encoded := make([][]byte, 0, len(values))
	for index, value := range values {
		document, err := encode(fmt.Sprintf("%s %d", what, index), value)
		if err != nil {
			return nil, err
		}
		if document == nil {
			document = emptyDocument
		}
		encoded = append(encoded, document)
	}
	return encoded, nil
}

// decode reads a document into a value.
func decode(document Raw, into any) error {
	if raw, ok := into.(*Raw); ok {
		*raw = bytes.Clone(document)
		return nil
	}
	decoder := bson.NewDecoder(bson.NewDocumentReader(bytes.NewReader(document)))
	decoder.UseJSONStructTags()
	if err := decoder.Decode(into); err != nil {
		return invalid(fmt.Sprintf("the document cannot be decoded into %T: %v", into, err), err)
	}
	return nil
}

// keyDocument is {"_id": id}, the form in which the server takes and gives an _id.
func keyDocument(id any) (Raw, error) {
	return encode("_id", D{{Key: "_id", Value: id}})
}

// idOf reads the _id of a document or key document.
func idOf(document Raw) (any, error) {
	var holder struct {
		ID any `bson:"_id"`
	}
	if err := bson.Unmarshal(document, &holder); err != nil {
		return nil, invalid(fmt.Sprintf("the _id cannot be decoded: %v", err), err)
	}
	return holder.ID, nil
}

// withID gives a document an _id, as its first field, unless it has one. Making it here and not in the server lets
// the caller know it whatever becomes of the answer.
func withID(document Raw) (Raw, any, error) {
	if len(document) < len(emptyDocument) {
		return nil, nil, invalid("the document is shorter than any BSON document", nil)
	}
	value, err := document.LookupErr("_id")
	if err == nil {
		var id any
		if err := value.Unmarshal(&id); err != nil {
			return nil, nil, invalid(fmt.Sprintf("the _id cannot be decoded: %v", err), err)
		}
		return document, id, nil
	}
	id := bson.NewObjectID()
	element := append([]byte("\x07_id\x00"), id[:]...)
	with := make(Raw, 0, len(document)+len(element))
	with = append(with, document[:4]...)
	with = append(with, element...)
	with = append(with, document[4:]...)
	binary.LittleEndian.PutUint32(with, uint32(len(with)))
	return with, id, nil
}
