"""The SQL engines that Trine is proved against, each behind one small class.

They ask the Iceberg REST catalogue, and then read the table's files themselves.
Every engine answers rows(collection, columns): the rows in the common form of
values.py, sorted. begin(collection, columns) is the first half of that: it settles
which snapshot is read, and gives the function that reads it.

s3, a stores.S3, is the bucket of the lake. Engines get credentials for it; where it
is, the catalogue tells them, but for those that say so here.
"""

import glob
import importlib.util
import os
import sys

import duckdb
import polars
import pyarrow
from pyiceberg.catalog import load_catalog

from clickhouse import ClickHouse
from values import arrow_rows, canonical_rows

HERE = os.path.dirname(os.path.abspath(__file__))


class PyIceberg:
    """PyIceberg on the REST catalogue."""

    name = "pyiceberg"

    def __init__(self, base, s3=None):
        self.catalog = load_catalog("trine", type="rest", uri=base + "/iceberg", **(s3.iceberg() if s3 else {}))

    def rows(self, collection, columns):
        return self.begin(collection, columns)()

    def begin(self, collection, columns):
        scan = self._scan(collection, columns)
        return lambda: arrow_rows(collection, columns, scan.to_arrow())

    def table(self, collection, columns):
        return self._scan(collection, columns).to_arrow()

    def _scan(self, collection, columns):
        table = self.catalog.load_table((collection.tenant, collection.name))
        return table.scan(selected_fields=tuple(columns))


class PolarsIceberg:
    """polars' own reader of Iceberg, on tables that PyIceberg finds and plans."""

    name = "polars_iceberg"

    def __init__(self, pyiceberg):
        self._catalog = pyiceberg.catalog

    def rows(self, collection, columns):
        return self.begin(collection, columns)()

    def begin(self, collection, columns):
        os.environ["POLARS_ICEBERG_PLANNER"] = "pyiceberg"  # or it warns that a package of its own is quicker
        table = self._catalog.load_table((collection.tenant, collection.name))
        # It does not take over what the table's own IO knows of the bucket.
        options = {k: v for k, v in table.io.properties.items() if k.startswith("s3.")}
        frame = polars.scan_iceberg(table, reader_override="native", storage_options=options).select(columns)
        return lambda: canonical_rows(collection.types(columns), frame.collect().rows())


class DuckDB:
    """DuckDB on the REST catalogue."""

    name = "duckdb"

    def __init__(self, base, s3=None, writes=False):
        # The extensions come with the environment: nothing is downloaded.
        self._db = duckdb.connect(config={"autoinstall_known_extensions": "false"})
        for name in ("avro", "httpfs", "iceberg"):
            self._db.execute(f"LOAD '{_duckdb_extension(name)}'")
        self._db.execute("SET TimeZone = 'UTC'")
        self._db.execute("SET threads = 2")
        self._db.execute("SET memory_limit = '2GB'")
        if s3:
            # It joins a secret of its own with nothing that the catalogue tells.
            host = s3.endpoint.removeprefix("http://")
            self._db.execute(
                f"CREATE SECRET (TYPE s3, KEY_ID '{s3.access_key}', SECRET '{s3.secret_key}',"
                f" ENDPOINT '{host}', URL_STYLE 'path', USE_SSL false, REGION 'us-east-1')"
            )
        if base:
            options = ["TYPE iceberg", f"ENDPOINT '{base}/iceberg'", "AUTHORIZATION_TYPE 'none'"]
            options += ["ACCESS_DELEGATION_MODE 'none'"] if s3 else []
            options += [] if writes else ["READ_ONLY"]
            self._db.execute(f"ATTACH '' AS trine ({', '.join(options)})")

    def rows(self, collection, columns):
        return arrow_rows(collection, columns, self.table(collection, columns))

    def begin(self, collection, columns):
        """A transaction holds the version of a table that its first statement found."""
        self._db.execute("BEGIN TRANSACTION")
        self._db.execute(f"SELECT count(*) FROM {collection.sql()}").fetchall()

        def finish():
            try:
                return self.rows(collection, columns)
            finally:
                self._db.execute("ROLLBACK")

        return finish

    def table(self, collection, columns, where="true"):
        wanted = ", ".join(map(_quoted, columns))
        return self._db.execute(f"SELECT {wanted} FROM {collection.sql()} WHERE {where}").to_arrow_table()

    def sql(self, query):
        return self._db.execute(query).fetchall()

    def close(self):
        self._db.close()


class Spark:
    """Spark on the REST catalogue. One session serves the whole suite, with a catalogue for each server."""

    name = "spark"

    def __init__(self, base, s3=None, catalog="trine"):
        self._session = _spark_session()
        self._catalog = catalog
        prefix = "spark.sql.catalog." + catalog
        settings = {
            "": "org.apache.iceberg.spark.SparkCatalog",
            ".type": "rest",
            ".uri": (base or "http://127.0.0.1:1") + "/iceberg",
            # Without it Spark reads a table as it was up to 30 s ago.
            ".cache-enabled": "false",
        }
        for key, value in (settings | {f".{k}": v for k, v in (s3.iceberg() if s3 else {}).items()}).items():
            self._session.conf.set(prefix + key, value)

    def rows(self, collection, columns):
        return self.begin(collection, columns)()

    def begin(self, collection, columns):
        frame = self._select(collection, columns)
        frame._jdf.queryExecution().executedPlan()  # until then it takes the newest snapshot there is
        return lambda: canonical_rows(collection.types(columns), [tuple(row) for row in frame.collect()])

    def export(self, collection, columns, folder):
        """Writes the rows to Parquet files in folder: a driver cannot collect millions."""
        self._select(collection, columns).write.parquet(str(folder))

    def sql(self, query):
        return [tuple(row) for row in self._session.sql(query).collect()]

    def close(self):
        self._session.stop()

    def _select(self, collection, columns):
        wanted = ", ".join(map(_backquoted, columns))
        return self._session.sql(f"SELECT {wanted} FROM {collection.sql('`', self._catalog)}")


def _spark_session():
    os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")  # or it asks what the host's name resolves to
    from pyspark.sql import SparkSession  # slow to import

    jars = glob.glob(os.path.join(HERE, ".jars", "*.jar"))
    if not jars:
        raise FileNotFoundError("no jars in interop/.jars: run interop/setup.sh")
    return SparkSession.getActiveSession() or (
        SparkSession.builder.master("local[2]")
        .config("spark.driver.memory", "2g")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.ui.enabled", "false")
        .config("spark.log.level", "ERROR")
        .config("spark.ui.showConsoleProgress", "false")
        .config("spark.sql.shuffle.partitions", "4")
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.jars", ",".join(jars))
        # CALL, and tags in DDL.
        .config("spark.sql.extensions", "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions")
        .getOrCreate()
    )


def _duckdb_extension(name):
    package = "duckdb_extension_" + name
    folder = importlib.util.find_spec(package).submodule_search_locations[0]
    pattern = os.path.join(folder, "extensions", "v" + duckdb.__version__, name + ".duckdb_extension")
    found = glob.glob(pattern)
    if not found:
        raise FileNotFoundError(f"{package} has no {pattern}")
    return found[0]


def _quoted(name):
    return '"' + name.replace('"', '""') + '"'


def _backquoted(name):
    return "`" + name.replace("`", "``") + "`"


def _check():
    """Starts each engine that is more than a library; setup.sh runs it."""
    DuckDB(base=None).close()
    clickhouse = ClickHouse(base=None)
    (clickhouse_version,) = clickhouse.sql("SELECT version()").split()
    clickhouse.close()
    spark = Spark(base=None)
    (spark_version,), = spark.sql("SELECT version()")
    spark.close()
    print(
        f"pyarrow {pyarrow.__version__}, polars {polars.__version__}, duckdb {duckdb.__version__}, "
        f"clickhouse {clickhouse_version}, spark {spark_version}"
    )


if __name__ == "__main__":
    sys.exit(_check())
