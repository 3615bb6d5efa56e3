// defines: small models of the five nets, and what they compute, for the tests of exports
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "nets/nets.hpp"

namespace ptrain::test {

enum class ExportKind { base, top, classifier };

struct ExportCase {
  std::filesystem::path model;               // a model file, of formula weights
  std::vector<float> pixels;                 // images [2, height, width, 3], whole numbers from 0 to 255
  std::vector<float> want;                   // what comes out
  std::vector<int64_t> pixels_shape, shape;  // of both
  std::vector<std::string> classes;
};

// Images of 96×97: odd, and not square (64×64 for a top, whose first dense layer of VGG16 would be large). The classifier has three
// classes, dense layers of 16 and 8, and a temperature.
ExportCase make_export_case(const NetInfo& net, ExportKind kind, const std::filesystem::path& file, double temperature = 1);

}  // namespace ptrain::test
