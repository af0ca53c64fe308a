import type { Corruptions } from '../support/corruptions';

/** They need an import that was applied with a rejected row, and one that is being applied. */
export const importCorruptions: Corruptions = {
  'an import that was applied has an outcome for each of its rows': {
    'a row was forgotten': `UPDATE inventory.import SET rows = rows + 1 WHERE status = 'applied'`,
    'a row was counted twice': `UPDATE inventory.import SET created = created + 1 WHERE status = 'applied'`,
  },
  'an import tells the reason of each row that it rejected': {
    'a reason is lost': `DELETE FROM inventory.import_reject`,
    'a rejected row is not counted': `UPDATE inventory.import SET rejected = 0`,
  },
  'an import that is being applied has all its rows, and other rows belong to an import that is to be tidied': {
    'a row is lost': `DELETE FROM inventory.import_row WHERE line = 2`,
    'rows are left behind': `UPDATE inventory.import SET tidy = true WHERE status = 'applying'`,
    'rows belong to nothing': `UPDATE inventory.import_row SET import_id = gen_random_uuid() WHERE line = 2`,
  },
};
