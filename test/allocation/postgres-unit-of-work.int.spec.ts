import { WarehouseThenEarliestEta } from '../../src/allocation/domain/allocation-policy';
import { ProductStore } from '../../src/allocation/persistence/product-store';
import { SnapshotDryRun } from '../../src/platform/unit-of-work/snapshot-dry-run';
import { freshDatabase } from '../support/database';
import { describeProductUnitOfWork, type StartedUnitOfWork } from '../support/product-unit-of-work.suite';
import { replicaOver } from '../support/replica';

const start = async (groupMax: number): Promise<StartedUnitOfWork> => {
  const db = await freshDatabase();
  const database = await db.connect();
  const { unitOfWork } = replicaOver(database, { groupMax });
  return {
    unitOfWork,
    dryRun: new SnapshotDryRun(database, new ProductStore(new WarehouseThenEarliestEta())),
    async lines(orderId) {
      const text = `
        SELECT o.order_id AS "orderId", o.line_id AS "lineId", o.sku, o.qty, o.status, o.batch_ref AS "batchRef",
               b.eta::text AS eta, o.priority
        FROM allocation.order_line AS o LEFT JOIN allocation.batch AS b ON b.sku = o.sku AND b.ref = o.batch_ref
        WHERE o.order_id = $1`;
      return database.query({ text }, [orderId]);
    },
    async events(sku) {
      const text = 'SELECT version::int, type, data FROM platform.event WHERE stream = $1 ORDER BY version';
      return database.query({ text }, [`product:${sku}`]);
    },
    async stop() {
      await unitOfWork.close();
      await db.drop();
    },
  };
};

describeProductUnitOfWork('in PostgreSQL, in groups', () => start(512));
describeProductUnitOfWork('in PostgreSQL, without grouping', () => start(1));
