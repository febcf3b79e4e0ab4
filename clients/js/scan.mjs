// Reading a scan in a browser or in Node, whole or not at all.

import { RecordBatchReader, Table } from "apache-arrow";

/** A scan that was cut. `token` is the place where it can go on, if one is known. */
export class Incomplete extends Error {
  constructor(message, token, cause) {
    super(message, { cause });
    this.name = "Incomplete";
    this.token = token;
  }
}

/**
 * Yields the batches of a scan as they come, and throws Incomplete unless the last of
 * them says how many rows there were and there were as many. The end of the stream alone
 * proves nothing: some ways of being cut look like it.
 *
 * @param {string | URL} url of C/scan, with its parameters
 * @param {RequestInit} [init] for fetch, such as headers: { Authorization: "Bearer …" }
 */
export async function* batches(url, init = {}) {
  const accept = { Accept: "application/vnd.apache.arrow.stream" };
  const answer = await fetch(url, { ...init, headers: { ...accept, ...init.headers } });
  if (!answer.ok) {
    const problem = await answer.json().catch(() => ({}));
    throw Object.assign(new Error(problem.detail ?? answer.statusText), { problem });
  }
  let rows = 0;
  let token;
  let complete = false;
  try {
    const reader = await RecordBatchReader.from(answer);
    for await (const batch of reader) {
      const said = batch.metadata;
      if (said.get("trine.complete") === "true") {
        complete = said.get("trine.rows") === String(rows);
      } else if (batch.numRows > 0) {
        rows += batch.numRows;
        token = said.get("trine.resume");
        yield batch;
      }
    }
  } catch (cause) {
    throw new Incomplete(`cut after ${rows} rows: ${cause.message}`, token, cause);
  }
  if (!complete) {
    throw new Incomplete(`cut after ${rows} rows`, token);
  }
}

/** Reads a scan as a table. */
export async function table(url, init) {
  const all = [];
  for await (const batch of batches(url, init)) {
    all.push(batch);
  }
  return new Table(all);
}
