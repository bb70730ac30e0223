// Answers each text on standard input with JSON.stringify(JSON.parse(text)) on standard output, until
// the input ends. A text is its length, 4 bytes, and its bytes; an answer is a byte that says how it
// went, then the same.
"use strict";
const fs = require("fs");

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function read(size) {
  const bytes = Buffer.alloc(size);
  for (let at = 0; at < size; ) {
    const n = fs.readSync(0, bytes, at, size - at);
    if (n === 0) process.exit(at === 0 ? 0 : 1);
    at += n;
  }
  return bytes;
}

function write(bytes) {
  for (let at = 0; at < bytes.length; ) at += fs.writeSync(1, bytes, at);
}

function answer(bytes) {
  let text, value;
  try {
    text = decoder.decode(bytes);
  } catch (e) {
    return ["u", String(e)]; // not UTF-8
  }
  try {
    value = JSON.parse(text);
  } catch (e) {
    return ["p", String(e)];
  }
  try {
    return ["=", JSON.stringify(value)];
  } catch (e) {
    return ["s", String(e)]; // nested too deep
  }
}

for (;;) {
  const [how, text] = answer(read(read(4).readUInt32BE()));
  const bytes = Buffer.from("." + "...." + text);
  bytes.write(how);
  bytes.writeUInt32BE(bytes.length - 5, 1);
  write(bytes);
}
