#include <math.h>

#include "base/random.h"
#include "pbt/population.h"

PbtExplore pbt_explore_default(void) {
    return (PbtExplore){.kind = PBT_EXPLORE_RULE, .factors = {0.8, 1.25}, .factor_count = 2, .chance = 1};
}

static Status check_chance(const char *name, double chance, Error *error) {
    if (chance >= 0 && chance <= 1) return STATUS_OK;
    return error_set(error, STATUS_INVALID, "explore: %s is %g: a probability from 0 to 1 was expected", name,
                     chance);
}

Status pbt_explore_check(const PbtExplore *explore, Error *error) {
    if (explore->kind == PBT_EXPLORE_CALLBACK) return STATUS_OK;
    if (explore->kind != PBT_EXPLORE_RULE)
        return error_set(error, STATUS_INVALID, "explore: a kind numbered %d, which does not exist",
                         (int)explore->kind);
    if (explore->factor_count > PBT_FACTORS)
        return error_set(error, STATUS_INVALID, "explore: %zu factors: at most %d can be had",
                         explore->factor_count, PBT_FACTORS);
    for (size_t i = 0; i < explore->factor_count; i++)
        if (!isfinite(explore->factors[i]) || explore->factors[i] <= 0)
            return error_set(error, STATUS_INVALID,
                             "explore: factor %zu is %g: a number above 0 was expected", i + 1,
                             explore->factors[i]);
    Status status = check_chance("chance", explore->chance, error);
    return status ? status : check_chance("resample", explore->resample, error);
}

/* Each hyperparameter has draws of its own, so that one more in the space leaves the others' alone. */
enum { DRAW_RESAMPLE, DRAW_PRIOR, DRAW_CHANCE, DRAW_FACTOR, DRAW_ROUNDING, DRAWS = 8 };

void pbt_explore_apply(const PbtExplore *explore, const PbtSpace *space, uint64_t key, uint64_t counter,
                       double *values) {
    for (size_t i = 0; i < space->count; i++) {
        const PbtHyper *hyper = &space->hypers[i];
        uint64_t draw = DRAWS * (uint64_t)i;
        if (!space_explorable(hyper)) continue;
        if (random_uniform_at(key, counter, draw + DRAW_RESAMPLE) < explore->resample) {
            values[i] = space_draw(hyper, key, counter, draw + DRAW_PRIOR);
        } else if (explore->factor_count > 0 &&
                   random_uniform_at(key, counter, draw + DRAW_CHANCE) < explore->chance) {
            size_t which = random_integer_at(key, counter, draw + DRAW_FACTOR, explore->factor_count);
            double fraction = random_uniform_at(key, counter, draw + DRAW_ROUNDING);
            values[i] = space_walk(hyper, values[i], explore->factors[which], fraction);
        }
    }
}
