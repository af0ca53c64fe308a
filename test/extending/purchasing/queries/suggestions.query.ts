import { type IQueryHandler, QueryHandler } from '@nestjs/cqrs';
import { Database } from '../../../../src/platform/database/database';
import { ListSuggestions, type Suggestion } from '../contract/queries';

const suggestions = {
  text: 'SELECT sku, sum(qty)::int AS qty FROM purchasing.suggestion GROUP BY sku ORDER BY sku',
};

@QueryHandler(ListSuggestions)
export class ListSuggestionsHandler implements IQueryHandler<ListSuggestions> {
  constructor(private readonly database: Database) {}

  execute(): Promise<Suggestion[]> {
    return this.database.query<Suggestion>(suggestions);
  }
}
