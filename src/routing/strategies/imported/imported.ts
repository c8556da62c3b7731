/** What `models import` writes. They are in artifacts alone: nothing configures or trains them. */

import type { ServedStrategy } from "../strategy.ts";
import { importedKnn } from "./imported-knn.ts";
import { importedNetwork } from "./imported-network.ts";
import { importedSvc } from "./imported-svc.ts";
import { importedTable } from "./imported-table.ts";

export const importedStrategies: readonly ServedStrategy[] = [
  importedKnn,
  importedNetwork,
  importedSvc,
  importedTable,
];
