/** `npm run generate`: writes the config documentation and the example file from the schema. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { renderExample, renderReference } from '../src/config/render.ts';
import { SYSTEM_PATHS } from '../src/io/paths.ts';

const docs = new URL('../docs/', import.meta.url);
mkdirSync(new URL('examples/', docs), { recursive: true });
writeFileSync(new URL('config.md', docs), renderReference(SYSTEM_PATHS));
writeFileSync(new URL('examples/garligate.toml', docs), renderExample(SYSTEM_PATHS));
