package vend

import (
	"encoding/json"
	"strings"
)

// statement is one of a session policy, in IAM's JSON.
type statement struct {
	Effect    string
	Action    []string
	Resource  []string
	Condition map[string]map[string][]string `json:",omitempty"`
}

// policy allows what a scope is for. It has two thirds of the 2,048 characters that a
// session policy may have, with the longest prefix.
func (v *Vendor) policy(of scope) (string, error) {
	bucket := "arn:" + v.partition + ":s3:::" + v.o.Bucket
	prefix := literal(of.prefix)
	below := bucket + "/" + prefix
	statements := []statement{
		{Effect: "Allow", Action: []string{"s3:GetObject"}, Resource: []string{below + "/*"}},
		{
			Effect: "Allow", Action: []string{"s3:ListBucket"}, Resource: []string{bucket},
			Condition: map[string]map[string][]string{"StringLike": {"s3:prefix": {prefix + "/*"}}},
		},
	}
	if of.write {
		statements = append(statements, statement{
			Effect: "Allow", Action: []string{"s3:PutObject", "s3:AbortMultipartUpload"},
			Resource: []string{below + "/data/*", below + "/metadata/*.avro"},
		})
	}
	text, err := json.Marshal(map[string]any{"Version": "2012-10-17", "Statement": statements})
	return string(text), err
}

// literal has the characters stand for themselves that a policy reads otherwise.
func literal(s string) string {
	return strings.NewReplacer("$", "${$}", "*", "${*}", "?", "${?}").Replace(s)
}
