/** Imported first: what computes has no way to send anything anywhere. The bundles lack Node's network modules, too (esbuild.config.mjs). */
for (const name of ['fetch', 'WebSocket', 'EventSource', 'XMLHttpRequest']) Reflect.deleteProperty(globalThis, name);
