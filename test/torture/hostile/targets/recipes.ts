import { parseJson } from '../../../../src/files/read';
import { parseRecipe, resolveRecipe } from '../../../../src/protocol/recipe';
import { recipe } from '../recipe';
import { faultOfResult, jsonOf, type OpenTarget, textOf } from '../target';

export const recipes: OpenTarget = () => ({
  name: 'recipes',
  form: 'json',
  share: 10,
  seeds: [
    jsonOf(recipe),
    jsonOf({ model: 'm', forget: 'f', method: 'npo', target: { layer: 1, expert: 2 }, train: { lora: { rank: 8 } }, methodOptions: { beta: 0.1 } }),
  ],
  run: async (input) => {
    const raw = parseJson(textOf(input), 'recipe.uoe.json');
    if (!raw.ok) return raw.fault;
    const parsed = parseRecipe(raw.value);
    return parsed.ok ? faultOfResult(resolveRecipe(parsed.value)) : parsed.fault;
  },
});
