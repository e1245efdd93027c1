// The Node driver against sheafd. SHEAFD_URI says where; prints a verdict per test.

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { Readable } from "node:stream";

// The driver is installed outside of the repository's folders.
const require = createRequire(process.env.DRIVER_MODULES + "/");
const { MongoClient, ObjectId, Long, Decimal128, Double, Int32, Timestamp, GridFSBucket, MongoServerError, MongoBulkWriteError } =
  require("mongodb");

const client = new MongoClient(process.env.SHEAFD_URI, { serverSelectionTimeoutMS: 10_000 });
const database = client.db("node_door");
// The name of the replica set that the server presents itself as, if it does.
const replicaSet = process.env.SHEAFD_REPLICA_SET;

async function fresh(name) {
  await database.collection(name).drop();
  return database.collection(name);
}

async function refused(code, call) {
  await assert.rejects(call, (error) => {
    assert.ok(error instanceof MongoServerError, String(error));
    assert.equal(error.code, code, String(error));
    return true;
  });
}

const tests = {
  async handshake() {
    // Members of a replica set say when.
    const times = replicaSet ? ["$clusterTime", "operationTime"] : [];
    const pong = await client.db("admin").command({ ping: 1 });
    assert.equal(pong.ok, 1);
    assert.deepEqual(Object.keys(pong).sort(), [...times, "ok"].sort());
    assert.equal((await client.db("admin").command({ buildInfo: 1 })).versionArray[0], 8);
    assert.equal((await client.db("admin").command({ hello: 1 })).setName, replicaSet);
    await refused(59, () => client.db("admin").command({ noSuchCommand: 1 }));
  },

  // The monitor streams handshakes; the connection must survive several heartbeats.
  async heartbeats() {
    const own = new MongoClient(process.env.SHEAFD_URI, { heartbeatFrequencyMS: 500 });
    const failures = [];
    let beats = 0;
    own.on("serverHeartbeatFailed", (event) => failures.push(event.failure));
    own.on("serverHeartbeatSucceeded", () => (beats += 1));
    await own.connect();
    await new Promise((resolve) => setTimeout(resolve, 1800));
    await own.db("admin").command({ ping: 1 });
    await own.close();
    assert.deepEqual(failures, []);
    assert.ok(beats >= 2 && beats <= 20, `${beats} heartbeats in 1.8 s`);
  },

  async insertAndFind() {
    const people = await fresh("people");
    const { insertedId } = await people.insertOne({ name: "Ada", born: 1815 });
    assert.ok(insertedId instanceof ObjectId);
    const many = await people.insertMany(Array.from({ length: 10 }, (_, n) => ({ _id: n, born: 1900 + n })));
    assert.equal(many.insertedCount, 10);
    assert.deepEqual(await people.findOne({ name: "Ada" }), { _id: insertedId, name: "Ada", born: 1815 });
    const found = await people.find({ born: { $gte: 1905 } }).sort({ born: -1 }).skip(1).limit(2).toArray();
    assert.deepEqual(found, [{ _id: 8, born: 1908 }, { _id: 7, born: 1907 }]);
    assert.equal(await people.countDocuments({ born: { $lt: 1905 } }), 6);
    assert.equal(await people.estimatedDocumentCount(), 11);
    assert.deepEqual((await people.distinct("born", { _id: { $in: [1, 2] } })).sort(), [1901, 1902]);
    assert.equal(await people.findOne({ name: "nobody" }), null);
  },

  async types() {
    const types = await fresh("types");
    const document = {
      _id: 1, double: new Double(5), int: new Int32(5), long: Long.fromString("9007199254740993"),
      decimal: Decimal128.fromString("0.10"), when: new Date("2024-02-29T12:30:15.123Z"), none: null,
      nested: { list: [1, [2, { c: 3 }]] }, stamp: new Timestamp({ t: 7, i: 9 }), text: "na\u00efve",
    };
    await types.insertOne(document);
    const back = await types.findOne({ _id: 1 }, { promoteValues: false });
    assert.equal(back.double._bsontype, "Double");
    assert.equal(back.int._bsontype, "Int32");
    assert.equal(back.long.toString(), "9007199254740993");
    assert.equal(back.decimal.toString(), "0.10");
    assert.equal(back.when.toISOString(), "2024-02-29T12:30:15.123Z");
    assert.equal(back.none, null);
    assert.ok(back.stamp.equals(document.stamp));
    assert.deepEqual((await types.findOne()).nested, document.nested);
  },

  async updateAndDelete() {
    const stock = await fresh("stock");
    await stock.insertMany([0, 1, 2, 3].map((n) => ({ _id: n, qty: n * 10, sizes: [n, 60] })));
    const one = await stock.updateOne({ _id: 1 }, { $inc: { qty: 5 } });
    assert.deepEqual([one.matchedCount, one.modifiedCount], [1, 1]);
    const many = await stock.updateMany({ qty: { $gte: 15 } }, { $set: { "sizes.$[big]": 0 } }, { arrayFilters: [{ big: { $gt: 50 } }] });
    assert.equal(many.modifiedCount, 3);
    assert.deepEqual((await stock.findOne({ _id: 2 })).sizes, [2, 0]);
    const upserted = await stock.updateOne({ _id: 77 }, { $set: { qty: 1 } }, { upsert: true });
    assert.equal(upserted.upsertedId, 77);
    const after = await stock.findOneAndUpdate({ _id: 1 }, [{ $set: { qty: { $add: ["$qty", 1] } } }], { returnDocument: "after" });
    assert.equal(after.qty, 16);
    assert.equal((await stock.findOneAndDelete({ _id: 77 })).qty, 1);
    assert.equal((await stock.replaceOne({ _id: 0 }, { x: 1 })).modifiedCount, 1);
    assert.deepEqual(await stock.findOne({ _id: 0 }), { _id: 0, x: 1 });
    assert.equal((await stock.deleteMany({ _id: { $gt: 1 } })).deletedCount, 2);
    assert.equal(await stock.countDocuments(), 2);
  },

  async bulkWrites() {
    const bulk = await fresh("bulk");
    const result = await bulk.bulkWrite([
      { insertOne: { document: { _id: 1, n: 1 } } },
      { insertOne: { document: { _id: 2, n: 2 } } },
      { updateMany: { filter: {}, update: { $inc: { n: 10 } } } },
      { replaceOne: { filter: { _id: 2 }, replacement: { n: 0 } } },
      { updateOne: { filter: { _id: 3 }, update: { $set: { n: 3 } }, upsert: true } },
      { deleteOne: { filter: { _id: 1 } } },
    ]);
    assert.deepEqual([result.insertedCount, result.modifiedCount, result.upsertedCount, result.deletedCount], [2, 3, 1, 1]);
    assert.deepEqual(await bulk.find().sort({ _id: 1 }).toArray(), [{ _id: 2, n: 0 }, { _id: 3, n: 3 }]);
    await assert.rejects(
      () => bulk.insertMany([{ _id: 2 }, { _id: 4 }], { ordered: false }),
      (error) => error instanceof MongoBulkWriteError && error.code === 11000 && error.insertedCount === 1,
    );
    const clientBulk = await client.bulkWrite([
      { name: "insertOne", namespace: "node_door.bulk", document: { _id: 9 } },
      { name: "deleteMany", namespace: "node_door.bulk", filter: {} },
    ]);
    assert.deepEqual([clientBulk.insertedCount, clientBulk.deletedCount], [1, 4]);
  },

  async cursors() {
    const numbers = await fresh("numbers");
    await numbers.insertMany(Array.from({ length: 500 }, (_, n) => ({ _id: n })));
    let expected = 0;
    for await (const document of numbers.find({}, { batchSize: 7, sort: { _id: 1 } })) {
      assert.equal(document._id, expected++);
    }
    assert.equal(expected, 500);
    const cursor = numbers.find({}, { batchSize: 10 });
    await cursor.next();
    const id = cursor.id;
    assert.ok(id && !id.isZero());
    await cursor.close();
    await refused(43, () => database.command({ getMore: id, collection: "numbers" }));
    await client.withSession(async (session) => {
      assert.equal((await numbers.find({}, { session, batchSize: 100 }).toArray()).length, 500);
    });
  },

  async transactions() {
    const accounts = await fresh("accounts");
    await accounts.insertMany([{ _id: 1, n: 10 }, { _id: 2, n: 0 }]);
    const move = async (session, amount) => {
      await accounts.updateOne({ _id: 1 }, { $inc: { n: -amount } }, { session });
      await accounts.updateOne({ _id: 2 }, { $inc: { n: amount } }, { session });
    };
    const balances = async () => (await accounts.find().sort({ _id: 1 }).toArray()).map((account) => account.n);
    await client.withSession(async (session) => {
      if (!replicaSet) {
        // The driver has its own words for error 20.
        const refusal = /does not support retryable writes/;
        await assert.rejects(() => session.withTransaction(() => move(session, 1)), refusal);
        return;
      }
      await session.withTransaction(() => move(session, 4));
      assert.deepEqual(await balances(), [6, 4]);
      await assert.rejects(() => session.withTransaction(async () => {
        await move(session, 100);
        throw new RangeError("changed my mind");
      }), RangeError);
      assert.deepEqual(await balances(), [6, 4]);
    });
  },

  async aggregation() {
    const orders = await fresh("orders");
    await orders.insertMany(Array.from({ length: 9 }, (_, n) => ({ _id: n, who: "abc"[n % 3], total: n * 1.5 })));
    const grouped = await orders
      .aggregate([{ $group: { _id: "$who", sum: { $sum: "$total" } } }, { $sort: { _id: 1 } }])
      .toArray();
    assert.deepEqual(grouped, [{ _id: "a", sum: 13.5 }, { _id: "b", sum: 18 }, { _id: "c", sum: 22.5 }]);
    const facets = await orders.aggregate([{ $facet: { n: [{ $count: "n" }], top: [{ $sort: { total: -1 } }, { $limit: 1 }] } }]).next();
    assert.deepEqual(facets, { n: [{ n: 9 }], top: [{ _id: 8, who: "c", total: 12 }] });
    await refused(40324, () => orders.aggregate([{ $nothing: {} }]).toArray());
    assert.equal((await orders.aggregate([{ $match: { _id: 1 } }]).explain()).ok, 1);
  },

  async indexes() {
    const users = await fresh("users");
    assert.equal(await users.createIndex({ mail: 1 }, { unique: true }), "mail_1");
    assert.deepEqual(await users.createIndexes([{ key: { age: -1 }, name: "by_age" }, { key: { city: 1 }, sparse: true }]), ["by_age", "city_1"]);
    await users.insertOne({ mail: "a@x", age: 3 });
    await assert.rejects(() => users.insertOne({ mail: "a@x" }), (error) => {
      assert.equal(error.code, 11000);
      assert.deepEqual(error.keyPattern, { mail: 1 });
      assert.deepEqual(error.keyValue, { mail: "a@x" });
      return true;
    });
    const plan = await users.find({ mail: "a@x" }).explain("queryPlanner");
    assert.match(JSON.stringify(plan.queryPlanner.winningPlan), /IXSCAN/);
    assert.deepEqual((await users.indexes()).map((index) => index.name).sort(), ["_id_", "by_age", "city_1", "mail_1"]);
    assert.equal(await users.indexExists("by_age"), true);
    await users.dropIndex("by_age");
    assert.equal(await users.indexExists("by_age"), false);
  },

  async catalog() {
    const other = client.db("node_catalog");
    await other.dropDatabase();
    await other.createCollection("view", { viewOn: "plain", pipeline: [{ $match: { n: 1 } }] });
    await other.collection("plain").insertMany([{ n: 1 }, { n: 2 }]);
    assert.equal((await other.collection("view").find().toArray()).length, 1);
    const listed = await other.listCollections({}, { nameOnly: true }).toArray();
    const names = listed.filter((c) => !c.name.startsWith("system.")).map((c) => [c.name, c.type]);
    assert.deepEqual(names.sort(), [["plain", "collection"], ["view", "view"]]);
    assert.ok((await client.db().admin().listDatabases()).databases.some((d) => d.name === "node_catalog"));
    await other.dropDatabase();
  },

  async gridfs() {
    const bucket = new GridFSBucket(database, { bucketName: "files", chunkSizeBytes: 64 * 1024 });
    await bucket.drop().catch(() => {});
    const data = Buffer.from(Array.from({ length: 1 << 20 }, (_, n) => (n * 7) % 256));
    const upload = bucket.openUploadStream("a.bin", { metadata: { kind: "test" } });
    await new Promise((resolve, reject) => Readable.from([data]).pipe(upload).on("finish", resolve).on("error", reject));
    assert.equal(await database.collection("files.chunks").countDocuments({ files_id: upload.id }), 16);
    const parts = [];
    for await (const part of bucket.openDownloadStream(upload.id)) parts.push(part);
    assert.ok(Buffer.concat(parts).equals(data));
    const [entry] = await bucket.find({ filename: "a.bin" }).toArray();
    assert.deepEqual([entry.length, entry.metadata], [data.length, { kind: "test" }]);
    await bucket.delete(upload.id);
    assert.equal(await database.collection("files.chunks").countDocuments(), 0);
  },
};

let failed = 0;
for (const [name, test] of Object.entries(tests)) {
  const begun = Date.now();
  try {
    await test();
    console.log(`--- PASS: node/${name} (${((Date.now() - begun) / 1000).toFixed(2)}s)`);
  } catch (error) {
    failed += 1;
    console.log(error);
    console.log(`--- FAIL: node/${name}`);
  }
}
await database.dropDatabase();
await client.close();
process.exitCode = failed ? 1 : 0;
