/**
 * How able models are that `capability-table.ts` lacks: their ratings in the LMArena text leaderboard,
 * which rank answers by people's votes.
 *
 * Source: LMArena, https://lmarena.ai/leaderboard, as of July 2025; Chiang et al., "Chatbot Arena",
 * arXiv 2403.04132. Its public copies are under Apache-2.0. Changed: names are those that providers
 * use, and what has an index of its own is left out. Votes reward a pleasant style, so a rating says
 * less of ability than the index does (`capability.ts`).
 */

/** Name, as in `capability-table.ts`, and rating, a row each. */
export const arenaTable = `
chatgpt-4o 1430
hunyuan-turbos 1377
minimax-m1 1357
qwen3-32b 1342
mistral-small-2506 1336
mistral-small-3-2 1336
gemma-3-12b 1335
gemini-2-0-flash-lite 1330
qwq-32b 1330
command-a 1325
qwen3-30b-a3b 1321
llama-3-1-nemotron-ultra-253b 1321
llama-3-3-nemotron-super-49b 1310
yi-lightning 1303
gemma-3n-e4b 1302
athene-v2 1293
gemma-3-4b 1293
glm-4-plus 1291
hunyuan-large 1290
llama-3-1-nemotron-70b 1284
qwen-max-0919 1284
grok-2-mini 1283
deepseek-v2-5 1274
athene-70b 1268
nova-pro 1261
llama-3-1-tulu-3-70b 1259
magistral-medium 1251
reka-core 1249
jamba-1-5-large 1241
yi-large 1235
command-r-plus-08-2024 1233
nova-lite 1233
gemini-1-5-flash-8b 1231
llama-3-1-nemotron-51b 1231
glm-4-0520 1230
nemotron-4-340b 1229
aya-expanse-32b 1229
olmo-2-0325-32b 1223
reka-flash 1221
nova-micro 1214
command-r-plus 1209
llama-3-1-tulu-3-8b 1199
qwen-max-0428 1199
ministral-8b 1198
deepseek-coder-v2 1196
command-r-08-2024 1195
aya-expanse-8b 1193
jamba-1-5-mini 1193
qwen1-5-110b 1180
claude-1 1178
yi-1-5-34b 1178
qwen1-5-72b 1172
mistral-medium-2312 1171
command-r 1169
internlm2-5-20b 1168
gemma-2-2b 1163
granite-3-1-8b 1157
qwen1-5-32b 1144
starling-lm-7b-beta 1139
granite-3-1-2b 1135
qwen1-5-14b 1135
tulu-2-dpo-70b 1127
dbrx 1126
wizardlm-70b 1125
nous-hermes-2-mixtral-8x7b-dpo 1119
llama-3-2-3b 1117
starling-lm-7b-alpha 1114
vicuna-33b 1112
deepseek-llm-67b 1111
snowflake-arctic 1108
granite-3-0-8b 1107
openchat-3-5 1103
gemma-1-1-7b 1102
openhermes-2-5-mistral-7b 1100
solar-10-7b 1091
granite-3-0-2b 1090
qwen1-5-7b 1090
dolphin-2-2-1-mistral-7b 1088
wizardlm-13b 1084
zephyr-7b-beta 1076
codellama-34b 1073
code-llama-34b 1073
llama-3-2-1b 1067
vicuna-13b 1066
zephyr-7b-alpha 1066
codellama-70b 1066
code-llama-70b 1066
smollm2-1-7b 1062
guanaco-33b 1060
vicuna-7b 1039
olmo-7b 1038
chat-bison 1034
gemma-1-1-2b 1033
qwen1-5-4b 1006
koala-13b 996
chatglm3-6b 979
chatglm2-6b 948
alpaca-13b 940
chatglm-6b 925
fastchat-t5-3b 901
dolly-v2-12b 858
`;
