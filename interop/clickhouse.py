"""ClickHouse as one of the engines of engines.py."""

import contextlib

import chdb.session
import pyarrow

from values import arrow_rows


class ClickHouse:
    """ClickHouse, in this process (chdb), on the REST catalogue: a database for each tenant."""

    name = "clickhouse"

    def __init__(self, base, s3=None, catalog="trine"):
        self._base, self._s3, self._catalog = base, s3, catalog
        self._databases = set()
        self._session = chdb.session.Session()
        for setting in (
            "allow_database_iceberg = 1",
            "session_timezone = 'UTC'",
            "output_format_arrow_string_as_string = 0",  # what it calls a string need not be UTF-8
            "max_threads = 2",
        ):
            self._session.query("SET " + setting)

    def rows(self, collection, columns):
        result = self._query(self._select(collection, columns), "ArrowStream")
        body = bytes(result.bytes())  # a copy: the view ends with the result
        return _clickhouse_rows(collection, columns, pyarrow.ipc.open_stream(body).read_all()) if body else []

    def begin(self, collection, columns):
        """Its first rows are read here, the others later."""
        query = self._select(collection, columns) + " SETTINGS max_threads = 1, max_block_size = 16"
        with self._settled():
            batches = self._session.send_query(query, "Arrow").record_batch(16)
            first = batches.read_next_batch()

        def finish():
            with self._settled():
                return _clickhouse_rows(collection, columns, pyarrow.Table.from_batches([first, *batches]))

        return finish

    def sql(self, query):
        return self._query(query, "TSV").data()

    def close(self):
        self._session.close()

    def _query(self, query, form):
        with self._settled():
            return self._session.query(query, form)

    @contextlib.contextmanager
    def _settled(self):
        try:
            # Of local files, it opens those below the working directory.
            with contextlib.chdir("/"):
                yield
        except Exception:
            # Else the next answer begins with what there was of this one.
            self._session.query("SELECT 1")
            raise

    def _select(self, collection, columns):
        wanted = ", ".join(map(_backslashed, columns))
        return f"SELECT {wanted} FROM {self._database(collection.tenant)}.{_backslashed(collection.tenant + '.' + collection.name)}"

    def _database(self, tenant):
        name = f"{self._catalog}_{tenant}"
        if name not in self._databases:
            settings, keys = ["catalog_type = 'rest'", f"warehouse = '{tenant}'", "vended_credentials = 0"], ""
            if self._s3:
                # Without vended credentials it does not read the table's configuration.
                settings.append(f"storage_endpoint = '{self._s3.endpoint}/{self._s3.bucket}'")
                keys = f", '{self._s3.access_key}', '{self._s3.secret_key}'"
            self._session.query(
                f"CREATE DATABASE {name} ENGINE = DataLakeCatalog('{self._base}/iceberg/v1'{keys}) SETTINGS {', '.join(settings)}"
            )
            self._databases.add(name)
        return name


def _clickhouse_rows(collection, columns, table):
    """Its Arrow gives a timestamp without zone that of the session."""
    for i, (name, type_) in enumerate(zip(columns, collection.types(columns), strict=True)):
        if type_ == "timestamp":
            table = table.set_column(i, name, table.column(i).cast(pyarrow.timestamp("us")))
    return arrow_rows(collection, columns, table)


def _backslashed(name):
    return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"
