import { QueriedInvariant } from '../../platform/verify/invariant';

class ImportsCountTheirRows extends QueriedInvariant {
  readonly name = 'an import that was applied has an outcome for each of its rows';
  protected readonly query = `
    SELECT format('import %s of %s: %s rows, %s outcomes', id, file, rows, created + changed + unchanged + rejected) AS broken
    FROM inventory.import WHERE status = 'applied' AND rows <> created + changed + unchanged + rejected`;
}

class ImportsTellWhatTheyRejected extends QueriedInvariant {
  readonly name = 'an import tells the reason of each row that it rejected';
  protected readonly query = `
    SELECT format('import %s of %s: %s rows rejected, %s reasons', i.id, i.file, i.rejected, count(r.line)) AS broken
    FROM inventory.import AS i LEFT JOIN inventory.import_reject AS r ON r.import_id = i.id
    GROUP BY i.id HAVING i.rejected <> count(r.line)`;
}

class ImportsHaveTheirRows extends QueriedInvariant {
  readonly name =
    'an import that is being applied has all its rows, and other rows belong to an import that is to be tidied';
  protected readonly query = `
    SELECT format('import %s of %s: %s rows, %s are there', i.id, i.file, i.rows, count(r.line)) AS broken
    FROM inventory.import AS i LEFT JOIN inventory.import_row AS r ON r.import_id = i.id
    WHERE i.status = 'applying' GROUP BY i.id HAVING i.rows <> count(r.line)
    UNION ALL
    SELECT format('%s rows of import %s: nobody will remove them', count(*), r.import_id)
    FROM inventory.import_row AS r LEFT JOIN inventory.import AS i ON i.id = r.import_id AND NOT i.tidy
    WHERE i.id IS NULL GROUP BY r.import_id`;
}

/** What holds for the imports of supplier files; `batchwise verify` checks it. */
export const importInvariants = [ImportsCountTheirRows, ImportsTellWhatTheyRejected, ImportsHaveTheirRows];
