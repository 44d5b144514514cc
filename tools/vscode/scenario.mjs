// Steps of one way through VS Code: after one that failed the others have nothing to stand on, and the picture of the failure is kept.
import path from 'node:path';
import { test } from 'node:test';

/** `name` of the picture in .build/, `timeout` of a step in ms, `page` gives VS Code's page once it is open. */
export function scenario(name, timeout, page) {
  let failed = false;
  return (title, run) =>
    test(title, { timeout }, async (context) => {
      if (failed) return context.skip('a step before it failed');
      try {
        await run(context);
      } catch (error) {
        failed = true;
        await page()
          ?.screenshot(path.join('.build', `${name}-failed.png`))
          .catch(() => undefined);
        throw error;
      }
    });
}
