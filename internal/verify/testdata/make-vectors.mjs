// Makes a .json out of each .mjs in testdata of each vendor's folder: deliveries as the vendor's own code
// would sign them, by JSON.stringify and node:crypto, and what must become of each. It shares no code with
// what it tests.
//
//   node make-vectors.mjs          writes the files
//   node make-vectors.mjs --check  reports whether they are as it would write them
import { existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'

let differs = false
for (const provider of readdirSync(new URL('..', import.meta.url)).sort()) {
  const folder = new URL(`../${provider}/testdata/`, import.meta.url)
  if (!existsSync(folder)) continue
  for (const source of readdirSync(folder).filter((file) => file.endsWith('.mjs')).sort()) {
    const { vectors } = await import(new URL(source, folder))
    const name = source.replace('.mjs', '')
    const made = new URL(`${name}.json`, folder)
    const lines = vectors.map((vector) => JSON.stringify(vector)).join(',\n') // one a line: a change shows which
    const written = `{"provider":"${name === 'vectors' ? provider : name}","vectors":[\n${lines}\n]}\n`
      .replace(/[\u007f-\uffff]/g, (c) => '\\u' + c.charCodeAt(0).toString(16).padStart(4, '0'))
    if (!process.argv.includes('--check')) {
      writeFileSync(made, written)
    } else if (readFileSync(made, 'utf8') !== written) {
      differs = true
      console.error(`${provider}/testdata/${name}.json is not what make-vectors.mjs makes`)
    }
  }
}
process.exit(differs ? 1 : 0)
