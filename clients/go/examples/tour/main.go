// Tour shows the Go client on the cities of `cargo xtask demo`.
//
//	tour read ADDRESS            asks a few questions
//	tour load ADDRESS FILE       inserts until the server is gone; writes what was acknowledged to FILE
//	tour verify ADDRESS FILE     looks for every document in FILE
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	sheaf "github.com/sheafdb/sheafdb/clients/go"
)

// City is a document of geo.cities.
type City struct {
	Name       string `bson:"name"`
	Country    string `bson:"country"`
	Population int64  `bson:"population"`
}

// Entry is a document of geo.load.
type Entry struct {
	ID      string `bson:"_id"`
	Writer  int    `bson:"writer"`
	Number  int    `bson:"number"`
	Written int64  `bson:"written"`
}

const (
	writers = 8
	// Documents in one insert of the load.
	batch = 20
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "tour:", err)
		os.Exit(1)
	}
}

func run(arguments []string) error {
	verb, file := "", ""
	switch {
	case len(arguments) == 2 && arguments[0] == "read":
	case len(arguments) == 3 && (arguments[0] == "load" || arguments[0] == "verify"):
		file = arguments[2]
	default:
		return errors.New("usage: tour read ADDRESS | load ADDRESS FILE | verify ADDRESS FILE")
	}
	verb = arguments[0]
	client, err := sheaf.Connect(arguments[1])
	if err != nil {
		return err
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	database := client.Database("geo")
	switch verb {
	case "load":
		return load(ctx, sheaf.C[Entry](database, "load"), file)
	case "verify":
		return verify(ctx, sheaf.C[Entry](database, "load"), file)
	default:
		return read(ctx, sheaf.C[City](database, "cities"))
	}
}

func read(ctx context.Context, cities *sheaf.Collection[City]) error {
	count, err := cities.Count(ctx, nil)
	if err != nil {
		return err
	}
	fmt.Printf("geo.cities has %d documents\n", count)

	cursor, err := cities.Find(ctx, sheaf.D{{Key: "country", Value: "NO"}},
		sheaf.FindOptions{Sort: sheaf.D{{Key: "population", Value: -1}}, Limit: 3})
	if err != nil {
		return err
	}
	fmt.Println("the largest cities of Norway:")
	for city, err := range cursor.Seq() {
		if err != nil {
			return err
		}
		fmt.Printf("  %-12s %9d\n", city.Name, city.Population)
	}

	type country struct {
		Code   string `bson:"_id"`
		People int64  `bson:"people"`
	}
	countries, err := sheaf.Aggregate[country](ctx, cities, []sheaf.D{
		{{Key: "$group", Value: sheaf.D{
			{Key: "_id", Value: "$country"},
			{Key: "people", Value: sheaf.D{{Key: "$sum", Value: "$population"}}},
		}}},
		{{Key: "$sort", Value: sheaf.D{{Key: "people", Value: -1}}}},
		{{Key: "$limit", Value: 3}},
	})
	if err != nil {
		return err
	}
	fmt.Println("the countries with the most city dwellers:")
	for country, err := range countries.Seq() {
		if err != nil {
			return err
		}
		fmt.Printf("  %-12s %9d\n", country.Code, country.People)
	}

	begun, streamed := time.Now(), 0
	all, err := cities.Find(ctx, nil)
	if err != nil {
		return err
	}
	for all.Next() {
		streamed++
	}
	if err := all.Err(); err != nil {
		return err
	}
	fmt.Printf("streamed all %d of them in %v\n", streamed, time.Since(begun).Round(time.Millisecond))
	return nil
}

// load inserts from several goroutines at once until the server is gone, which is what ends it well.
func load(ctx context.Context, entries *sheaf.Collection[Entry], path string) error {
	if err := entries.Drop(ctx); err != nil {
		return err
	}
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer file.Close()
	acknowledged := make(chan []Entry, writers)
	failures := make(chan error, writers)
	var running sync.WaitGroup
	for writer := range writers {
		running.Go(func() { failures <- write(ctx, entries, writer, acknowledged) })
	}
	go func() {
		running.Wait()
		close(acknowledged)
		close(failures)
	}()
	out, count := bufio.NewWriter(file), 0
	for written := range acknowledged {
		for _, entry := range written {
			count++
			fmt.Fprintln(out, entry.ID)
		}
	}
	if err := out.Flush(); err != nil {
		return err
	}
	fmt.Printf("%d documents were acknowledged as synced before the server was gone\n", count)
	for err := range failures {
		if !errors.Is(err, sheaf.ErrUnavailable) {
			return err
		}
	}
	return nil
}

func write(ctx context.Context, entries *sheaf.Collection[Entry], writer int, acknowledged chan<- []Entry) error {
	for number := 0; ; number += batch {
		documents := make([]Entry, batch)
		for index := range documents {
			documents[index] = Entry{
				ID: fmt.Sprintf("%d-%08d", writer, number+index), Writer: writer, Number: number + index,
				Written: time.Now().UnixMicro(),
			}
		}
		_, err := entries.InsertMany(ctx, documents, sheaf.WriteOptions{Durability: sheaf.DurabilitySynced})
		if err != nil {
			return err
		}
		acknowledged <- documents
	}
}

func verify(ctx context.Context, entries *sheaf.Collection[Entry], path string) error {
	begun := time.Now()
	present := map[string]bool{}
	cursor, err := entries.Find(ctx, nil)
	if err != nil {
		return err
	}
	for entry, err := range cursor.Seq() {
		if err != nil {
			return err
		}
		present[entry.ID] = true
	}
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	acknowledged, missing := 0, 0
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		acknowledged++
		if !present[lines.Text()] {
			missing++
			fmt.Println("missing:", lines.Text())
		}
	}
	if err := lines.Err(); err != nil {
		return err
	}
	fmt.Printf("%d acknowledged documents, %d missing; the server has %d (looked in %v)\n",
		acknowledged, missing, len(present), time.Since(begun).Round(time.Millisecond))
	if missing > 0 || acknowledged == 0 {
		return fmt.Errorf("%d acknowledged writes, %d lost", acknowledged, missing)
	}
	return nil
}
