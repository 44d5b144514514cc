/** What the empty page says can be opened, before an engine runs that could tell. A test holds it to the engine's answers. */

/** Values of model_type in config.json. */
export const openedFamilies = ['mixtral', 'qwen2_moe', 'qwen3_moe', 'olmoe', 'deepseek_v2', 'deepseek_v3', 'phimoe', 'glm4_moe', 'gpt_oss'] as const;

export const demoOffer = { moeLayers: 3, experts: 16, parameters: 1_263_360 } as const;
