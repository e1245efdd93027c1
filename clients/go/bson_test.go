package sheaf

import (
	"bytes"
	"errors"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
)

func TestADocumentWithoutAnIDGetsOneInFront(t *testing.T) {
	document, err := encode("the document", D{{Key: "name", Value: "Ada"}})
	if err != nil {
		t.Fatal(err)
	}
	with, id, err := withID(document)
	if err != nil {
		t.Fatal(err)
	}
	if err := with.Validate(); err != nil {
		t.Fatal(err)
	}
	var fields D
	if err := bson.Unmarshal(with, &fields); err != nil {
		t.Fatal(err)
	}
	if fields[0].Key != "_id" || fields[0].Value != id || fields[1].Value != "Ada" {
		t.Fatal(fields)
	}

	again, same, err := withID(with)
	if err != nil || same != id || !bytes.Equal(again, with) {
		t.Fatal(again, same, err)
	}
}

func TestJSONTagsAreReadWhereThereAreNoBSONTags(t *testing.T) {
	type user struct {
		Name string `json:"full_name"`
		Age  int    `bson:"years" json:"age"`
	}
	document, err := encode("the document", user{Name: "Ada", Age: 36})
	if err != nil {
		t.Fatal(err)
	}
	if document.Lookup("full_name").StringValue() != "Ada" || document.Lookup("years").AsInt64() != 36 {
		t.Fatal(document)
	}
	var back user
	if err := decode(document, &back); err != nil || back != (user{Name: "Ada", Age: 36}) {
		t.Fatal(back, err)
	}
}

func TestWhatCannotBeEncodedIsTheCallersMistake(t *testing.T) {
	if _, err := encode("the filter", make(chan int)); !errors.Is(err, ErrInvalid) {
		t.Fatal(err)
	}
	if _, _, err := withID(Raw{1, 2}); !errors.Is(err, ErrInvalid) {
		t.Fatal(err)
	}
}
