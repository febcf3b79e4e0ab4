package main

import (
	"io"
	"strings"
	"text/template"
)

// pasteLines are what a reader can paste into a terminal or a notebook.
var pasteLines = template.Must(template.New("paste").Parse(`
Read it from anywhere:

  curl
    curl {{.}}/v1/tenants/acme/collections/airports/records/SEA
    curl -G {{.}}/v1/tenants/acme/collections/airports/scan -H 'Accept: text/csv' --data-urlencode "where=state = 'WA'"

  Python, pyarrow
    import pyarrow as pa, urllib.request
    pa.ipc.open_stream(urllib.request.urlopen("{{.}}/v1/tenants/acme/collections/flights/scan")).read_all()

  Python, polars
    import polars as pl, urllib.request
    pl.read_ipc_stream(urllib.request.urlopen("{{.}}/v1/tenants/acme/collections/flights/scan").read())

  Python, PyIceberg (polars.scan_iceberg takes the table, too)
    from pyiceberg.catalog import load_catalog
    load_catalog("trine", type="rest", uri="{{.}}/iceberg").load_table("acme.flights").scan().to_arrow()

  DuckDB
    INSTALL iceberg; LOAD iceberg;
    ATTACH '' AS trine (TYPE iceberg, ENDPOINT '{{.}}/iceberg', AUTHORIZATION_TYPE 'none', READ_ONLY);
    SELECT origin, count(*), avg(delay) FROM trine.acme.flights GROUP BY origin ORDER BY 2 DESC LIMIT 5;

  Spark
    spark-sql --packages org.apache.iceberg:iceberg-spark-runtime-3.5_2.12:1.12.0 \
      --conf spark.sql.catalog.trine=org.apache.iceberg.spark.SparkCatalog \
      --conf spark.sql.catalog.trine.type=rest \
      --conf spark.sql.catalog.trine.uri={{.}}/iceberg \
      --conf spark.sql.catalog.trine.cache-enabled=false \
      -e "SELECT origin, count(*) FROM trine.acme.flights GROUP BY origin"
`))

func printPasteLines(w io.Writer, url string) {
	var b strings.Builder
	if err := pasteLines.Execute(&b, url); err != nil {
		panic(err) // the template is ours
	}
	_, _ = io.WriteString(w, b.String())
}
