// defines: what the tests of the converter share
#pragma once

#include <functional>
#include <optional>

#include "layers/weight_file.hpp"
#include "tests/support/support.hpp"
#include "tools/convert/convert.hpp"

namespace ptrain::test {

const std::vector<convert::NetLayout>& layouts();

// Unpacks X.zst of keras/<folder> into `to` and returns the path of X.
std::filesystem::path unpack(const std::string& folder, const std::string& name, const TempDir& to);

// Converts; the text of the refusal, or "" and `report` filled.
std::string refusal_of(const convert::ConvertOptions& options, convert::ConvertReport* report = nullptr);
std::string refusal_of(const std::filesystem::path& file, const std::filesystem::path& out, const std::string& net = "auto");

// Every tensor of the golden table (keras/tensors.tsv) is in `model` with its constant, (k+1)/1024 and 0.5 more in element 0, and `heads`
// tensors of a head follow; nothing else is there. "" or what is wrong.
std::string check_constants(const std::filesystem::path& model, const std::string& keras_net, bool top, size_t heads);

// Opens a copy of an HDF5 file for changes through the library; everything that `edit` opens is closed afterwards.
void edit_h5(const std::filesystem::path& path, const std::function<void(hid_t file)>& edit);

}  // namespace ptrain::test
