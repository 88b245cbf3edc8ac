// Replicate the documents of a JSON file (argv[2]) from LevelDB (below argv[3]) to the server at argv[4].
const fs = require("fs");
const [file, directory, url] = process.argv.slice(2);
const PouchDB = require("pouchdb").defaults({ prefix: directory + "/" });

async function main() {
  const documents = JSON.parse(fs.readFileSync(file, "utf8"));
  const here = new PouchDB("here");
  await here.bulkDocs(documents);
  const there = new PouchDB(url + "/there");
  await there.info();
  const began = process.hrtime.bigint();
  const done = await here.replicate.to(there, { batch_size: 2500 });
  const seconds = Number(process.hrtime.bigint() - began) / 1e9;
  const { doc_count } = await there.info();
  console.log(JSON.stringify({ seconds, sent: done.docs_written, documents: doc_count }));
}

main().then(() => process.exit(0), (error) => { console.error(error); process.exit(1); });
