// defines: images_of(), the images that the arguments of a command name
#pragma once

#include "data/manifest.hpp"

namespace ptrain::cli {

// Files as they are, folders with all that lies in them and below. Without labels. Error{data} when there is none.
Manifest images_of(const std::vector<std::string>& paths, const std::string& doing);

// {0, 1, …, n − 1}
std::vector<int64_t> all_of(const Manifest& manifest);

}  // namespace ptrain::cli
