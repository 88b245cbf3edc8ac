// express-pouchdb on a free port of the loopback, stored by LevelDB below the directory of argv[2].
const directory = process.argv[2];
const PouchDB = require("pouchdb").defaults({ prefix: directory + "/" });
const app = require("express")();
app.use(require("express-pouchdb")(PouchDB, { mode: "minimumForPouchDB", overrideMode: { exclude: [] }, inMemoryConfig: true, logPath: directory + "/log.txt" }));
const server = app.listen(0, "127.0.0.1", () => console.log(server.address().port));
