#include "layers/weight_file.hpp"

#include <algorithm>
#include <unordered_map>

namespace ptrain {
namespace {

constexpr size_t kListed = 20;  // names of one kind in a message

void list(std::string& text, const char* kind, const std::vector<std::string>& names) {
  for (size_t i = 0; i < std::min(names.size(), kListed); ++i) text += concat("\n  ", kind, names[i]);
  if (names.size() > kListed) text += concat("\n  … and ", names.size() - kListed, " more");
}

// "2 parameters are not in the file, 2 in the file are not used"
void count(std::string& text, size_t n, const char* one, const char* many) {
  if (n == 0) return;
  text += concat(text.empty() ? "" : ", ", n, n == 1 ? one : many);
}

}  // namespace

std::vector<std::string> load_weights(Params& params, const WeightFileReader& file, const LoadOptions& options) {
  std::vector<std::string> left_out, missing, unused, misshapen;
  std::unordered_map<std::string, const StoredTensor*> stored;
  for (const StoredTensor& t : file.tensors()) {
    if (options.leave_out(t.layer)) {
      if (std::find(left_out.begin(), left_out.end(), t.layer) == left_out.end()) left_out.push_back(t.layer);
      continue;
    }
    stored[t.key()] = &t;
    const Param* p = params.find(t.layer, t.weight);
    if (!p || options.leave_alone(t.layer)) unused.push_back(t.key() + " " + str(t.shape));
  }
  for (const Param& p : params.list()) {
    if (options.leave_alone(p.layer)) continue;
    const auto it = stored.find(p.key());
    if (it == stored.end()) missing.push_back(p.key() + " " + str(p.shape));
    else if (it->second->shape != p.shape)
      misshapen.push_back(p.key() + " is " + str(it->second->shape) + " in the file, " + str(p.shape) + " is wanted");
  }
  if (!missing.empty() || !unused.empty() || !misshapen.empty()) {
    std::string counts, text;
    count(counts, missing.size(), " parameter is not in the file", " parameters are not in the file");
    count(counts, unused.size(), " in the file is not used", " in the file are not used");
    count(counts, misshapen.size(), " has another shape", " have other shapes");
    text = concat("loading ", file.path().string(), " into ", options.into, ": ", counts);
    list(text, "missing  ", missing);
    list(text, "unused   ", unused);
    list(text, "shape    ", misshapen);
    text += "\n  nothing was changed. ";
    const std::string net = file.has_attribute("net") ? file.text("net") : "";
    text += !net.empty() && net != options.into ? "The file holds " + net + "."
                                                : concat("Was the file written by another version of nets/", options.into, ".cpp?");
    fail(ErrorKind::weights, text);
  }

  std::vector<std::vector<float>> values;  // everything is read before anything is changed
  for (const Param& p : params.list()) {
    if (options.leave_alone(p.layer)) continue;
    const StoredTensor& t = *stored.at(p.key());
    file.read(t, values.emplace_back(size_t(t.shape.size())));
  }
  auto next = values.begin();
  for (Param& p : params.list())
    if (!options.leave_alone(p.layer)) p.value.upload(*next++);
  params.refresh_copies();
  return left_out;
}

void save_weights(const Params& params, WeightFileWriter& file) {
  for (const Param& p : params.list()) file.weight(p.layer, p.weight, p.shape, p.value.to_floats());
}

}  // namespace ptrain
