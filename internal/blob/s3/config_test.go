package s3_test

import (
	"strings"
	"testing"

	"github.com/trinedb/trine/internal/blob/s3"
	"github.com/trinedb/trine/internal/blob/s3/s3test"
	"github.com/trinedb/trine/schema"
)

func TestParse(t *testing.T) {
	for text, want := range map[string]s3.Config{
		"s3://b":                    {Bucket: "b"},
		"s3://b/":                   {Bucket: "b"},
		"s3://b/p/q/?region=eu-x-1": {Bucket: "b", Prefix: "p/q", Region: "eu-x-1"},
		"s3://b/p?endpoint=http://127.0.0.1:7070/&path_style=true": {
			Bucket: "b", Prefix: "p", Endpoint: "http://127.0.0.1:7070", PathStyle: true},
		"s3://b/a%20b?path_style=false":      {Bucket: "b", Prefix: "a b"},
		"s3express://base--use1-az4--x-s3/p": {Bucket: "base--use1-az4--x-s3", Prefix: "p", Express: true},
	} {
		got, err := s3.Parse(text)
		if err != nil || got != want {
			t.Errorf("%s: got %+v, %v; want %+v", text, got, err, want)
			continue
		}
		if again, err := s3.Parse(got.String()); err != nil || again != want {
			t.Errorf("%s: written as %s, which is %+v, %v", text, got, again, err)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"gs://b":                                 "want s3 or s3express",
		"/var/lib":                               "want s3 or s3express",
		"s3:///p":                                "no bucket",
		"s3://b:80/p":                            "endpoint",
		"s3://u:secret@b":                        "credentials come from",
		"s3://b/%zz?secret":                      "not a URL",
		"s3://b#x":                               "fragment",
		"s3://b?regoin=x":                        `unknown parameter "regoin": want one of endpoint, path_style, region`,
		"s3://b?region=":                         "want one value",
		"s3://b?region=a&region=b":               "want one value, not 2",
		"s3://b?path_style=maybe":                "want true or false",
		"s3://b?endpoint=127.0.0.1:80":           "want http://host",
		"s3://b?endpoint=http://u:p@h":           "without a path or a password",
		"s3://b?endpoint=http://h/p":             "without a path or a password",
		"s3://b/a//b":                            "prefix",
		"s3://b/.hidden":                         "prefix",
		"s3://b/" + strings.Repeat("x", 130):     "at most 123",
		"s3://base--use1-az4--x-s3":              "its scheme is s3express",
		"s3express://b":                          "its scheme is s3",
		"s3express://base--x-s3":                 "names no zone",
		"s3express://a--z--x-s3?path_style=true": "no such requests",
	} {
		_, err := s3.Parse(text)
		wantErr(t, err, schema.ErrInvalid)
		if !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v does not say %q", text, err, want)
		}
	}
}

func TestUnder(t *testing.T) {
	for text, want := range map[string]string{
		"s3://b": "s3://b/lake", "s3://b/p?region=r": "s3://b/p/lake", "s3express://a--z--x-s3/p": "s3://a--z--x-s3/p/lake",
	} {
		c, err := s3.Parse(text)
		check(t, err)
		if got := c.Under("lake").BaseURI(); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
	if got := (s3.Config{Bucket: "b"}).BaseURI(); got != "s3://b" {
		t.Error(got)
	}
}

func TestOptionsValidate(t *testing.T) {
	for _, o := range []s3.Options{
		{MaxTries: -1}, {MaxReads: -1}, {PartBytes: 1}, {RequestTimeout: -1}, {FirstBackoff: 1 << 40}, {BlockBytes: 1 << 30},
	} {
		wantErr(t, o.Validate(), schema.ErrInvalid)
		server := s3test.New(s3test.Options{})
		_, err := s3.Open(t.Context(), configOf(server, ""), o)
		wantErr(t, err, schema.ErrInvalid)
	}
	check(t, s3.Options{}.Validate())
}

func FuzzParse(f *testing.F) {
	f.Add("s3://b/p?endpoint=http://127.0.0.1:7070&path_style=true&region=r")
	f.Add("s3express://base--use1-az4--x-s3/p")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := s3.Parse(text)
		if err != nil {
			return
		}
		if again, err := s3.Parse(c.String()); err != nil || again != c {
			t.Errorf("%q: %+v is written as %s, which is %+v, %v", text, c, c, again, err)
		}
	})
}
