package s3_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/trinedb/trine/internal/blob"
	"github.com/trinedb/trine/internal/blob/s3"
	"github.com/trinedb/trine/internal/blob/s3/s3test"
)

func ExampleOpen() {
	server := s3test.New(s3test.Options{}) // in place of a bucket
	config, err := s3.Parse("s3://bucket/trine/log?region=eu-central-1&endpoint=http://127.0.0.1&path_style=true")
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	store, err := s3.Open(ctx, config, s3.Options{Credentials: server, HTTPClient: server.Transport()})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer store.Close()
	fmt.Println(store.PutIfAbsent(ctx, "ch/0/0/1", []byte("chunk")))
	err = store.PutIfAbsent(ctx, "ch/0/0/1", []byte("another writer's"))
	fmt.Println(errors.Is(err, blob.ErrExists), blob.NoEffect(err))
	// Output:
	// <nil>
	// true true
}
