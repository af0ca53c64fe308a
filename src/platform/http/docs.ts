import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { INestApplication } from '@nestjs/common';
import { DocumentBuilder, type OpenAPIObject, SwaggerModule } from '@nestjs/swagger';
import { z } from 'zod';

interface Package {
  readonly version: string;
  readonly license: string;
}

export const { version, license } = JSON.parse(
  readFileSync(join(__dirname, '../../../package.json'), 'utf8'),
) as Package;

const description = `Promises order lines to batches of stock - in the warehouse, or on a ship with an ETA - and never
promises the same unit twice.

Errors are RFC 9457 problems whose \`code\` is stable. Sending the same request again is safe: it takes effect once and gets
the same answer; with an \`Idempotency-Key\`, to the byte. Of a JSON key that occurs twice the last value counts. Unless the service has no credential at all, every operation
needs one that allows its scope: an API key, or an access token. Every answer carries \`X-Request-Id\` and
\`X-Correlation-Id\`; an id of your own that is sent along under the same name is taken over.
What is told and taken by messages is described at \`/docs/asyncapi.json\`.`;

/** The OpenAPI document of everything that `app` serves. */
export function openApiDocument(app: INestApplication): OpenAPIObject {
  const config = new DocumentBuilder()
    .setOpenAPIVersion('3.1.0')
    .setTitle('Batchwise')
    .setDescription(description)
    .setVersion(version)
    .setLicense(license, '')
    .addServer('/', 'This service')
    .addTag('Batches', 'What stock there is, and when it arrives.')
    .addTag('Allocations', 'Promising single order lines.')
    .addTag('Orders', 'Promising, reading, amending and releasing the lines of an order.')
    .addTag('Plans', 'What would happen if, and why.')
    .addTag('Stock', 'How much there is of a SKU, what will be free, and what happened to it.')
    .addTag('Imports', 'Taking in supplier files.')
    .addTag('Thresholds', 'When stock is low.')
    .addTag('Events', 'What has happened, and what happens: to be read at any time, from anywhere on.')
    .addTag('Webhooks', 'Telling other systems what happened.')
    .addTag(
      'Book contract',
      'The routes of the book Architecture Patterns with Python, exactly as its clients know them.',
    )
    .addTag('Operations', 'Probes, metrics, subscribers of the event log, and what could not be delivered.')
    .addBearerAuth({ type: 'http', bearerFormat: 'bw_…', description: 'Made by `batchwise keys create`.' }, 'apiKey')
    .addBearerAuth({ type: 'http', description: "A JWT of the service's OpenID provider." }, 'accessToken')
    .build();
  config.info.license = { name: license, identifier: license } as never;
  delete config.info.contact;
  const document = SwaggerModule.createDocument(app, config, { standardSchemaConverter: toOpenApi });
  const { schemas } = z.toJSONSchema(z.globalRegistry, { ...jsonSchema, uri: reference });
  document.components = { ...document.components, schemas: sorted(schemas) };
  return document;
}

/** Serves the explorer under `/docs` and the document under `/docs/openapi.json`. */
export function serveDocs(app: INestApplication): void {
  SwaggerModule.setup('docs', app, () => openApiDocument(app), {
    jsonDocumentUrl: 'docs/openapi.json',
    raw: ['json'],
    customSiteTitle: 'Batchwise',
    swaggerOptions: {
      displayRequestDuration: true,
      defaultModelsExpandDepth: 0,
      persistAuthorization: true,
      validatorUrl: null,
    },
  });
}

/** What a client may send. Answers are documented the same way: a client must expect members it does not know. */
const jsonSchema = {
  io: 'input',
  override: ({ jsonSchema: schema }) => {
    if (schema.format === 'date') delete schema.pattern;
  },
} as const satisfies z.core.ToJSONSchemaParams;

const reference = (id: string): string => `#/components/schemas/${id}`;

/** A schema with an id is named in the document's components; any other is written where it is used. */
function toOpenApi(schema: unknown): { schema: object } | undefined {
  if (!(schema instanceof z.core.$ZodType)) return undefined;
  const id = z.globalRegistry.get(schema)?.id;
  if (id !== undefined) return { schema: { $ref: reference(id) } };
  return { schema: without(['$schema', '$defs'], z.toJSONSchema(schema, jsonSchema)) };
}

/** By name, without what only a document of its own would need. */
const sorted = (schemas: Record<string, object>): Record<string, object> =>
  Object.fromEntries(
    Object.entries(schemas)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, schema]) => [name, without(['$schema', '$id', 'id'], schema)]),
  );

const without = (names: readonly string[], schema: object): object =>
  Object.fromEntries(Object.entries(schema).filter(([name]) => !names.includes(name)));
