'use strict';
// Runs inside a session: evaluates JavaScript for the runtime and keeps the state.
//
// Requests and replies are JSON lines over descriptor 3. Code is evaluated the way the developer tools' console does it (V8's
// "replMode"): top-level await, declarations that may be repeated, the value of the last expression. SIGINT ends it, and so
// does process.exit(), which leaves the process and its variables.

const asyncHooks = require('node:async_hooks');
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
let running = null; // the code that runs or waits for a promise: what ends it, and the scope of its synchronous part

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

const interrupted = { error: { name: 'Interrupted', value: 'the code was interrupted', traceback: '' } };

function evaluate(code, begin) {
  return new Promise((resolve) => {
    const own = { resolve, scope: asyncHooks.executionAsyncId() };
    running = own;
    const end = (outcome) => {
      if (running !== own) return;
      running = null;
      resolve(outcome);
    };
    const stop = () => end(interrupted);
    begin();
    const run = () => post(
      'Runtime.evaluate',
      { expression: asExpression(code), replMode: true, awaitPromise: true },
      (failure, answer) => {
        if (failure) stop();
        else if (answer.exceptionDetails) end({ error: describeError(valueOf(answer.exceptionDetails.exception)) });
        else settle(valueOf(answer.result), end);
      },
    );
    globalThis[Symbol.for('agb.run')] = run;
    try {
      // Only code within a script can be broken off by a signal.
      new vm.Script("globalThis[Symbol.for('agb.run')]()").runInThisContext({ breakOnSigint: true });
    } catch (error) {
      stop();
    } finally {
      own.scope = 0;
      delete globalThis[Symbol.for('agb.run')];
    }
  });
}

// process.exit() ends the code, not the process. V8 can terminate what runs, so that no catch or finally of the code sees it.
// node does not survive that in a callback that it has entered in JavaScript (timers, nextTick, AsyncResource): it would find
// the stack of its asynchronous scopes unbalanced. An id other than that of the synchronous part, or 0 after an await, shows
// such a scope; there an exception ends the callback. Termination discards the queue of microtasks, so the outcome is
// passed on from the event loop.
class Exit extends Error {}
const leave = process.exit.bind(process);
const later = setImmediate;

function exit(code) {
  if (code !== undefined) process.exitCode = code; // its setter refuses what is not a status
  const status = process.exitCode ?? 0;
  process.exitCode = undefined;
  const thrown = new Exit(`process.exit(${status})`);
  Error.captureStackTrace(thrown, exit);
  const own = running;
  running = null;
  if (own) later(own.resolve, Number(status) === 0 ? {} : { error: { ...describeError(thrown), name: 'SystemExit', value: `${status}` } });
  else process.stderr.write(`process.exit(${status}) was called while no code ran; it has ended the callback only\n`);
  if (asyncHooks.executionAsyncId() === (own?.scope ?? 0)) {
    let refused = false;
    post('Runtime.terminateExecution', (failure) => { refused = failure !== null; });
    while (!refused); // until V8 looks
  }
  throw thrown;
}
process.exit = exit;

// While code waits for a promise nothing runs that could be broken off.
process.on('SIGINT', () => {
  running?.resolve(interrupted);
  running = null;
});
function reportUncaught(prefix, error) {
  if (!(error instanceof Exit)) process.stderr.write(`${prefix}${util.inspect(error)}\n`);
}
process.on('uncaughtException', (error) => reportUncaught('', error));
process.on('unhandledRejection', (error) => reportUncaught('Unhandled rejection: ', error));

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
channel.on('end', () => leave(0));
reply({ ready: true, version: process.version });
