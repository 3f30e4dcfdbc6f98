/* Search spaces, as seen from inside pbt/. */
#ifndef BROOD_PBT_SPACE_H
#define BROOD_PBT_SPACE_H

#include "pbt/pbt.h"

/* Whether explore may change it. */
bool space_explorable(const PbtHyper *hyper);
/* From the prior: the same for the same (key, counter, index). */
double space_draw(const PbtHyper *hyper, uint64_t key, uint64_t counter, uint64_t index);
/* `value` after a walk of ln `factor` on the hyperparameter's axis; `fraction`, even in [0, 1), decides how
 * an integer is rounded. */
double space_walk(const PbtHyper *hyper, double value, double factor, double fraction);

#endif
