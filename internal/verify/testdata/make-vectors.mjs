// Makes testdata/vectors.json in each vendor's folder out of the vectors.mjs beside it: deliveries as the
// vendor's own code would sign them, by JSON.stringify and node:crypto, and what must become of each. It
// shares no code with what it tests.
//
//   node make-vectors.mjs          writes the files
//   node make-vectors.mjs --check  reports whether they are as it would write them
import { existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'

let differs = false
for (const provider of readdirSync(new URL('..', import.meta.url)).sort()) {
  const of = (file) => new URL(`../${provider}/testdata/${file}`, import.meta.url)
  if (!existsSync(of('vectors.mjs'))) continue
  const { vectors } = await import(of('vectors.mjs'))
  const written = JSON.stringify({ provider, vectors }, null, 1).replace(/[\u007f-\uffff]/g, (c) => '\\u' + c.charCodeAt(0).toString(16).padStart(4, '0')) + '\n'
  if (!process.argv.includes('--check')) {
    writeFileSync(of('vectors.json'), written)
  } else if (readFileSync(of('vectors.json'), 'utf8') !== written) {
    differs = true
    console.error(`${provider}/testdata/vectors.json is not what make-vectors.mjs makes`)
  }
}
process.exit(differs ? 1 : 0)
