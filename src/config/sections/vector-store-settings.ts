/** `routeiq_settings.vector_stores`: how stores embed, and the databases that they may lie on. */
import { Type } from "@sinclair/typebox";

const providers = ["pgvector", "qdrant", "weaviate", "pinecone"] as const;
export type VectorProvider = (typeof providers)[number];

export const VectorBackendSettings = Type.Object({
  provider: Type.Union(
    providers.map((name) => Type.Literal(name)),
    { description: "Which database it is." },
  ),
  url: Type.String({
    minLength: 1,
    description:
      "Its address: postgres://user:password@host/database, a Qdrant's or Weaviate's https://host:port, the host of a Pinecone index. A reference, where it holds a password.",
  }),
  api_key: Type.Optional(
    Type.String({ minLength: 1, description: "For Qdrant, Weaviate and Pinecone; a reference." }),
  ),
  prefix: Type.String({
    default: "routeiq_",
    pattern: "^[A-Za-z][A-Za-z0-9_]{0,40}$",
    description: "Before the names of collections, classes or namespaces; a store has one.",
  }),
  table: Type.String({
    default: "routeiq_passages",
    pattern: "^([a-z_][a-z0-9_]{0,40}\\.)?[a-z_][a-z0-9_]{0,40}$",
    description: "PostgreSQL's table of passages, of all stores; it is made where it is not there.",
  }),
  connections: Type.Integer({
    default: 4,
    minimum: 1,
    maximum: 100,
    description: "Connections to a PostgreSQL.",
  }),
});

export const VectorStoreSettings = Type.Object(
  {
    embedding_model: Type.Optional(
      Type.String({
        minLength: 1,
        description:
          "A group whose model embeds passages and questions, where a store names none. Default: the built-in embedder.",
      }),
    ),
    document_timeout_ms: Type.Integer({
      default: 120_000,
      minimum: 1,
      maximum: 86_400_000,
      description:
        "How long one document may take to be read; its file is then `failed`, and the others go on.",
    }),
    backend: Type.Optional(
      Type.String({
        minLength: 1,
        description:
          "Which of `backends` new stores lie on, where they name none. Default: the gateway's own.",
      }),
    ),
    backends: Type.Record(Type.String(), VectorBackendSettings, {
      default: {},
      description: "Vector databases by name. See docs/vector-stores.md.",
      expected: "a map of names",
    }),
  },
  { default: {}, description: "Vector stores." },
);
