// defines: check_parts(), what every split must hold
#pragma once

#include <string>

#include "data/split.hpp"

namespace ptrain {

// Throws Error{data} unless train and val both have images of every class and share no patient. Fills split.test_patients_in_training.
void check_parts(const Manifest&, Split& split, const std::string& doing);

}  // namespace ptrain
