#include "tests/support/support.hpp"

namespace ptrain::test {

std::filesystem::path source_dir() { return PTRAIN_SOURCE_DIR; }
std::filesystem::path bin_dir() { return PTRAIN_BIN_DIR; }

}  // namespace ptrain::test
