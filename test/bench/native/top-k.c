// Brute-force top-k over int8 rows, the same loop as wasm/assembly/top-k.ts, as a yardstick.
//   top-k FORM N D K ROUNDS    FORM: i8 (as the compiler vectorises it), vnni, f32
// Prints the least processor time of a round in nanoseconds per row, and a sum of what was found.
// Exit 3: this processor has not the form.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#if defined(__AVX512VNNI__) || defined(__AVXVNNI__)
#include <immintrin.h>
#define HAS_VNNI 1
#endif

static int n, d, k;
static int8_t *rows;
static float *floats, *queryF, *scales, *scores;
static int8_t *query;
static uint8_t *shifted;
static int32_t *sums;
static int *found;

static int32_t dot_i8(const int8_t *a, const int8_t *b, int size) {
  int32_t sum = 0;
  for (int i = 0; i < size; i++) sum += (int32_t)a[i] * (int32_t)b[i];
  return sum;
}

#ifdef HAS_VNNI
static int32_t dot_vnni(const int8_t *row, const uint8_t *q, int size) {
#ifdef __AVX512VNNI__
  __m512i acc = _mm512_setzero_si512();
  for (int i = 0; i < size; i += 64)
    acc = _mm512_dpbusd_epi32(acc, _mm512_loadu_si512(q + i), _mm512_loadu_si512(row + i));
  return _mm512_reduce_add_epi32(acc);
#else
  __m256i acc = _mm256_setzero_si256();
  for (int i = 0; i < size; i += 32)
    acc = _mm256_dpbusd_avx_epi32(acc, _mm256_loadu_si256((const __m256i *)(q + i)),
                                  _mm256_loadu_si256((const __m256i *)(row + i)));
  int32_t part[8];
  _mm256_storeu_si256((__m256i *)part, acc);
  return part[0] + part[1] + part[2] + part[3] + part[4] + part[5] + part[6] + part[7];
#endif
}
#endif

// -ffast-math alone lets a compiler vectorise a float sum; the flag is given for this form.
static float dot_f32(const float *a, const float *b, int size) {
  float sum = 0;
  for (int i = 0; i < size; i++) sum += a[i] * b[i];
  return sum;
}

// The k best so far, worst first: insertion is rare once they are good.
static void offer(int row, float score, int *count) {
  if (*count == k && score <= scores[0]) return;
  int at = *count < k ? (*count)++ : (memmove(scores, scores + 1, (k - 1) * sizeof *scores),
                                      memmove(found, found + 1, (k - 1) * sizeof *found), k - 1);
  while (at > 0 && scores[at - 1] > score) {
    scores[at] = scores[at - 1];
    found[at] = found[at - 1];
    at--;
  }
  scores[at] = score;
  found[at] = row;
}

static void search(const char *form) {
  int count = 0;
  if (form[0] == 'i')
    for (int r = 0; r < n; r++) offer(r, scales[r] * dot_i8(rows + (size_t)r * d, query, d), &count);
#ifdef HAS_VNNI
  else if (form[0] == 'v')
    for (int r = 0; r < n; r++)
      offer(r, scales[r] * (dot_vnni(rows + (size_t)r * d, shifted, d) - 64 * sums[r]), &count);
#endif
  else
    for (int r = 0; r < n; r++) offer(r, dot_f32(floats + (size_t)r * d, queryF, d), &count);
}

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return t.tv_sec * 1e9 + t.tv_nsec;
}

int main(int argc, char **argv) {
  if (argc != 6) return 2;
  const char *form = argv[1];
#ifndef HAS_VNNI
  if (form[0] == 'v') return 3;
#endif
  n = atoi(argv[2]), d = atoi(argv[3]), k = atoi(argv[4]);
  const int rounds = atoi(argv[5]);
  rows = aligned_alloc(64, (size_t)n * d + 64), query = aligned_alloc(64, d + 64);
  shifted = aligned_alloc(64, d + 64), floats = aligned_alloc(64, ((size_t)n * d + 16) * 4);
  queryF = aligned_alloc(64, (d + 16) * 4), scales = malloc(n * 4), sums = calloc(n, 4);
  scores = malloc(k * 4), found = malloc(k * 4);
  srand(1);
  for (int i = 0; i < d; i++) {
    query[i] = rand() % 127 - 63;
    shifted[i] = query[i] + 64;
    queryF[i] = query[i] / 63.0f;
  }
  for (int r = 0; r < n; r++) {
    scales[r] = 0.01f;
    for (int i = 0; i < d; i++) {
      int8_t value = rand() % 255 - 127;
      rows[(size_t)r * d + i] = value;
      floats[(size_t)r * d + i] = value / 127.0f;
      sums[r] += value;
    }
  }
  double best = 1e18;
  long check = 0;
  for (int round = 0; round < rounds; round++) {
    double start = now();
    search(form);
    double took = now() - start;
    if (took < best) best = took;
    for (int i = 0; i < k; i++) check += found[i];
  }
  printf("%.3f %ld\n", best / n, check);
  return 0;
}
