// Writes the OpenAPI document of the built application to a file or to standard output. Needs no database.
import { writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);
const { AppModule } = require('../dist/app.module.js');
const { Config } = require('../dist/platform/config.js');
const { openApiDocument } = require('../dist/platform/http/docs.js');
const { createHttpApplication } = require('../dist/platform/http/http-application.js');

const config = Config.load({}).withDatabase('postgres://nowhere.invalid/none');
const app = await createHttpApplication(AppModule.forRoot(config), { preview: true, logger: false });
const document = `${JSON.stringify(openApiDocument(app), null, 2)}\n`;
const [file] = process.argv.slice(2);
if (file === undefined) process.stdout.write(document);
else writeFileSync(file, document);
