'use strict';
// Runs inside a session: evaluates JavaScript for the runtime and keeps the state.
//
// Requests and replies are JSON lines over descriptor 3. Code is evaluated the way the developer tools' console does it (V8's
// "replMode"): top-level await, declarations that may be repeated, the value of the last expression. SIGINT ends it.

const inspector = require('node:inspector');
const net = require('node:net');
const path = require('node:path');
const util = require('node:util');
const vm = require('node:vm');
const { createRequire } = require('node:module');
const { then } = Promise.prototype; // the code may replace it

const CHANNEL_FD = 3;
const MOST = 4000000; // characters of one value

const session = new inspector.Session();
session.connect();
const post = session.post.bind(session);
const channel = new net.Socket({ fd: CHANNEL_FD, readable: true, writable: true });
const reply = (message) => channel.write(JSON.stringify(message) + '\n');

globalThis.require = createRequire(path.join(process.cwd(), 'session.js'));
globalThis.module = { exports: {} };
globalThis.exports = globalThis.module.exports;

let count = 0;
let interrupted = null; // set while code runs or is waiting for a promise

// As node's own console: text in braces is an object if it can be one.
function asExpression(code) {
  if (!/^\s*\{/.test(code) || /;\s*$/.test(code)) return code;
  try {
    new vm.Script(`(${code.trim()}\n)`);
    return `(${code.trim()}\n)`;
  } catch {
    return code;
  }
}

// The value behind the inspector's description of it. It goes through a property, since the inspector hands out no values.
function valueOf(remote) {
  if (!remote.objectId) {
    if (remote.type === 'undefined') return undefined;
    if (remote.subtype === 'null') return null;
    if (remote.type === 'bigint') return BigInt(remote.unserializableValue.slice(0, -1));
    return 'unserializableValue' in remote ? Number(remote.unserializableValue) : remote.value;
  }
  const slot = Symbol('value');
  let found;
  Object.defineProperty(globalThis, slot, { configurable: true, set: (value) => { found = value; } });
  globalThis[Symbol.for('agb.slot')] = slot;
  post('Runtime.callFunctionOn', {
    functionDeclaration: "function (value) { globalThis[globalThis[Symbol.for('agb.slot')]] = value; }",
    objectId: remote.objectId,
    arguments: [{ objectId: remote.objectId }],
  });
  delete globalThis[slot];
  delete globalThis[Symbol.for('agb.slot')];
  return found;
}

const cut = (text) => text.slice(0, MOST);

// A string by itself is shown whole; inside of something else node's own limit holds.
const inspected = (value) => util.inspect(value, typeof value === 'string' ? { maxStringLength: Infinity } : {});

function resultOf(value) {
  const text = inspected(value);
  return { text: cut(text), discarded: Math.max(0, text.length - MOST) };
}

// The code is not over while its value is a promise: what the promise prints, returns or throws belongs to it.
function settle(value, resolve) {
  const shown = (settled) => (settled === undefined ? {} : resultOf(settled));
  if (!util.types.isPromise(value)) resolve(shown(value));
  else then.call(value, (settled) => resolve(shown(settled)), (thrown) => resolve({ error: describeError(thrown) }));
}

function describeError(thrown) {
  if (!util.types.isNativeError(thrown)) return { name: 'Error', value: `Uncaught ${cut(inspected(thrown))}`, traceback: '' };
  let value = String(thrown.message);
  if (/import statement|dynamic import callback/.test(value)) value += ' (in a session use require())';
  const lines = String(thrown.stack).split('\n');
  // Frames of this file and of the inspector are not part of the user's code.
  const own = lines.findIndex((line) => line.includes('node:inspector') || line.includes(__filename));
  const traceback = (own < 0 ? lines : lines.slice(0, own)).join('\n');
  return { name: cut(String(thrown.name)), value: cut(value), traceback: cut(traceback) };
}

function evaluate(code, begin) {
  return new Promise((resolve) => {
    const stop = () => resolve({ error: { name: 'Interrupted', value: 'the code was interrupted', traceback: '' } });
    interrupted = stop;
    begin();
    const run = () => post(
      'Runtime.evaluate',
      { expression: asExpression(code), replMode: true, awaitPromise: true },
      (failure, answer) => {
        if (failure) stop();
        else if (answer.exceptionDetails) resolve({ error: describeError(valueOf(answer.exceptionDetails.exception)) });
        else settle(valueOf(answer.result), resolve);
      },
    );
    globalThis[Symbol.for('agb.run')] = run;
    try {
      // Only code within a script can be broken off by a signal.
      new vm.Script("globalThis[Symbol.for('agb.run')]()").runInThisContext({ breakOnSigint: true });
    } catch (error) {
      stop();
    } finally {
      delete globalThis[Symbol.for('agb.run')];
    }
  });
}

// While code waits for a promise nothing runs that could be broken off.
process.on('SIGINT', () => { if (interrupted) interrupted(); });
process.on('uncaughtException', (error) => process.stderr.write(`${util.inspect(error)}\n`));
process.on('unhandledRejection', (error) => process.stderr.write(`Unhandled rejection: ${util.inspect(error)}\n`));

// Writes wait for the pipe, which the runtime always reads, instead of piling up in memory until one fails.
for (const stream of [process.stdout, process.stderr]) stream._handle?.setBlocking?.(true);
// What code has written before its end belongs to its output.
const outputs = [process.stdout, process.stderr].map((stream) => stream.write.bind(stream));
async function flushed() {
  for (const write of outputs) await new Promise((resolve) => { write('', resolve); });
}

async function serve(line) {
  const { id, code } = JSON.parse(line);
  const result = await evaluate(code, () => reply({ id, begun: true }));
  interrupted = null;
  await flushed();
  count += 1;
  reply({ id, count, ...result });
}

let received = '';
channel.setEncoding('utf8');
channel.on('data', (chunk) => {
  received += chunk;
  let end;
  while ((end = received.indexOf('\n')) >= 0) {
    const line = received.slice(0, end);
    received = received.slice(end + 1);
    serve(line);
  }
});
channel.on('end', () => process.exit(0));
reply({ ready: true, version: process.version });
