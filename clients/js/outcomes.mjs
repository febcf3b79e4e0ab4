// What readers make of scans: node outcomes.mjs READER URL… prints, as JSON, for each
// URL the number of rows that the reader takes for the whole, or null where it fails.

import { RecordBatchReader, tableFromIPC } from "apache-arrow";
import { table } from "./scan.mjs";

const readers = {
  async streamed(url) {
    let rows = 0;
    for await (const batch of await RecordBatchReader.from(await fetch(url))) {
      rows += batch.numRows;
    }
    return rows;
  },
  async buffered(url) {
    const body = await (await fetch(url)).arrayBuffer();
    return tableFromIPC(new Uint8Array(body)).numRows;
  },
  async checked(url) {
    return (await table(url)).numRows;
  },
};

const [reader, ...urls] = process.argv.slice(2);
const outcomes = [];
for (const url of urls) {
  outcomes.push(await readers[reader](url).catch(() => null));
}
console.log(JSON.stringify(outcomes));
