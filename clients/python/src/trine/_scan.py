"""A scan: a whole collection, or a part of it, at one position."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from trine._errors import Incomplete
from trine._stream import BatchStream

if TYPE_CHECKING:
    import pandas
    import polars

RESTARTS = 3
"""How often a scan that is read as a whole begins anew when it cannot be taken up."""


class Scan:
    """What a scan reads, as the form that is asked for.

    Nothing is sent until then, and each form reads anew, as of then unless the scan
    has an `at_seq` or a `snapshot`. A scan also speaks the Arrow C stream interface,
    so that libraries which know it take a scan where they take a table.

    >>> scan = flights.scan(columns=["origin"], limit=3)
    >>> scan.to_arrow().num_rows, sum(batch.num_rows for batch in scan.to_batches())
    (3, 3)
    """

    def __init__(
        self, name: str, open_stream: Callable[[], BatchStream], total: Callable[[], int | None] | None
    ) -> None:
        self._name = name
        self._open = open_stream
        self._total = total  # None: no progress is shown

    def __repr__(self) -> str:
        return f"<scan of {self._name}>"

    def to_arrow(self) -> pa.Table:
        """All rows as a table; its schema's metadata has `trine.position`."""
        for restart in range(RESTARTS + 1):
            stream = self._open()
            try:
                return pa.Table.from_batches(self._shown(stream), stream.schema)
            except Incomplete as cut:
                # What was read was handed to nobody, so it may as well be of another position.
                gone = cut.problem is not None and cut.problem.status == 410
                if not gone or restart == RESTARTS:
                    raise
        raise AssertionError("no attempt was the last")

    def to_batches(self) -> Iterator[pa.RecordBatch]:
        """The rows batch by batch, as they come, with two of them in memory."""
        return self._shown(self._open())

    def to_reader(self) -> pa.RecordBatchReader:
        """The same as a reader, which knows the schema before the first batch."""
        stream = self._open()
        return pa.RecordBatchReader.from_batches(stream.schema, self._shown(stream))

    def to_pandas(self, **options: Any) -> pandas.DataFrame:
        """All rows as a data frame of pandas; options are those of `pyarrow.Table.to_pandas`."""
        return self.to_arrow().to_pandas(**options)

    def to_polars(self) -> polars.DataFrame:
        """All rows as a data frame of polars."""
        import polars  # noqa: PLC0415 - only who asks for it needs it

        return polars.DataFrame(self.to_arrow())

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self.to_reader().__arrow_c_stream__(requested_schema)

    def _shown(self, stream: BatchStream) -> Iterator[pa.RecordBatch]:
        if self._total is None:
            return iter(stream)
        return self._with_bar(stream, self._total())

    def _with_bar(self, stream: BatchStream, total: int | None) -> Iterator[pa.RecordBatch]:
        from tqdm.auto import tqdm  # noqa: PLC0415 - only who asks for progress needs it

        with tqdm(total=total, desc=self._name, unit=" rows", unit_scale=True) as bar:
            for batch in stream:
                bar.update(batch.num_rows)
                yield batch
