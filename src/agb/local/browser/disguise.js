/*
 * Replaces what the browser says of its machine and no DevTools command sets. Run in every window and every worker
 * before the page's own scripts, with the values as its argument.
 *
 * Properties stay where they are, on the prototypes, with their attributes. Their getters and methods become proxies of
 * the native functions: these are called first, so a wrong receiver still throws, and name, length and the absence of a
 * prototype are theirs. The source text of a proxy is that of an anonymous native function, so Function.prototype.toString
 * is a proxy too, which adds the names. It adds those of the same functions in other windows as well, since a page may
 * take the toString of a frame. Page scripts can replace any global, so all that is used later is taken here, and no
 * object used by the proxies inherits anything.
 */
(values => {
  "use strict";
  const { apply, defineProperty, deleteProperty, getOwnPropertyDescriptor } = Reflect;
  const toNumber = Number;
  const ANONYMOUS = "function () { [native code] }";
  const replaced = { __proto__: null };

  const replace = (owner, name, kind, change) => {
    const descriptor = getOwnPropertyDescriptor(owner, name);
    const native = descriptor && descriptor[kind];
    if (!native) return; // some properties exist in secure contexts only
    replaced[native.name] = true;
    descriptor[kind] = new Proxy(native, {
      __proto__: null,
      apply: (target, self, args) => change(apply(target, self, args), self, args),
    });
    defineProperty(owner, name, descriptor);
  };

  const prototype = Object.getPrototypeOf(navigator);
  for (const name in values.navigator) {
    const value = values.navigator[name];
    if (name in navigator && navigator[name] !== value) replace(prototype, name, "get", () => value);
  }
  for (const name of values.absent) deleteProperty(prototype, name);
  for (const name of values.absentGlobals) deleteProperty(globalThis, name);

  if (values.graphics) {
    const UNMASKED_VENDOR = 0x9245;
    const UNMASKED_RENDERER = 0x9246;
    const [vendor, renderer] = values.graphics;
    for (const type of ["WebGLRenderingContext", "WebGL2RenderingContext"]) {
      if (!globalThis[type]) continue;
      replace(globalThis[type].prototype, "getParameter", "value", (result, self, args) => {
        if (typeof result !== "string") return result;
        const parameter = toNumber(args[0]);
        return parameter === UNMASKED_VENDOR ? vendor : parameter === UNMASKED_RENDERER ? renderer : result;
      });
    }
  }

  for (const name in replaced) {
    replace(Function.prototype, "toString", "value", (result, self) =>
      result === ANONYMOUS && replaced[self.name] ? `function ${self.name}() { [native code] }` : result,
    );
    break;
  }
})
