/** Of the Parquet libraries what is used here; loaded by whoever reads or writes a Parquet file. */
export { parquetMetadataAsync, parquetReadObjects, parquetSchema } from "hyparquet";
export { ByteWriter, parquetWrite } from "hyparquet-writer";
