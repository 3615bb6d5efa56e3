#include "tests/tools/support/convert_support.hpp"

#include <fstream>

namespace ptrain::test {
namespace fs = std::filesystem;

const std::vector<convert::NetLayout>& layouts() {
  static const std::vector<convert::NetLayout> all = convert::all_layouts();
  return all;
}

fs::path unpack(const std::string& folder, const std::string& name, const TempDir& to) {
  const fs::path target = to / name.substr(0, name.size() - 4);
  const Finished f = run({"zstd", "-d", "-q", "-f", "--long=27", (shared() / "keras" / folder / name).string(), "-o", target.string()});
  REQUIRE_THAT(f.code == 0, "zstd of ", name, ": ", f.err);
  fs::permissions(target, fs::perms::owner_read | fs::perms::owner_write);
  return target;
}

std::string refusal_of(const convert::ConvertOptions& options, convert::ConvertReport* report) {
  try {
    const convert::ConvertReport r = convert::convert(options, layouts());
    if (report) *report = r;
    return "";
  } catch (const Error& e) {
    if (e.kind() != ErrorKind::weights) return concat("kind ", int(e.kind()), ": ", e.what());
    return e.what();
  }
}

std::string refusal_of(const fs::path& file, const fs::path& out, const std::string& net) {
  return refusal_of({.file = file, .out = out, .net = net, .allow_unused = false, .classes = {}});
}

std::string check_constants(const fs::path& model, const std::string& keras_net, bool top, size_t heads) {
  static const std::vector<Row> table = read_tsv(shared() / "keras" / "tensors.tsv");
  const WeightFileReader file(model);
  std::vector<std::pair<std::string, std::string>> wanted;  // name, shape; the shape of a head is not in the table
  for (const Row& r : table)
    if (r.at("net") == keras_net && r.at("variant") == (top ? "top" : "notop"))
      wanted.emplace_back(r.at("keras3_layer_name") + "/" + r.at("var"), r.at("shape_keras"));
  const std::vector<std::string> head_names = {"head_1/kernel", "head_1/bias",     "head_2/kernel",
                                               "head_2/bias",   "head_out/kernel", "head_out/bias"};
  for (size_t i = 0; i < heads; ++i) wanted.emplace_back(head_names[i], "");
  if (wanted.size() != file.tensors().size()) return concat(file.tensors().size(), " tensors, ", wanted.size(), " wanted");
  std::vector<float> values;
  for (size_t k = 0; k < wanted.size(); ++k) {
    const StoredTensor& t = file.tensors()[k];
    if (t.key() != wanted[k].first) return concat("tensor ", k, " is ", t.key(), ", ", wanted[k].first, " wanted");
    if (!wanted[k].second.empty() && convert::shape_text(t.shape) != wanted[k].second)
      return concat(t.key(), " is ", str(t.shape), ", ", wanted[k].second, " wanted");
    values.resize(size_t(t.shape.size()));
    file.read(t, values);
    const float constant = float(k + 1) / 1024;
    for (size_t i = 0; i < values.size(); ++i)
      if (values[i] != (i == 0 ? constant + 0.5f : constant))
        return concat(t.key(), "[", i, "] is ", values[i], ", ", i == 0 ? constant + 0.5f : constant, " wanted");
  }
  return "";
}

void edit_h5(const fs::path& path, const std::function<void(hid_t)>& edit) {
  const hdf5::Session session;
  const hdf5::Handle access(H5Pcreate(H5P_FILE_ACCESS), H5Pclose);
  H5Pset_fclose_degree(access, H5F_CLOSE_STRONG);
  const hdf5::Handle file(H5Fopen(path.c_str(), H5F_ACC_RDWR, access), H5Fclose);
  REQUIRE_THAT(file, "opening ", path.string(), ": ", hdf5::last_error());
  edit(file);
}

}  // namespace ptrain::test
