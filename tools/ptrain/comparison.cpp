#include "tools/ptrain/comparison.hpp"

#include <algorithm>

#include "data/file.hpp"
#include "data/sha256.hpp"
#include "train/report_data.hpp"

namespace ptrain::cli {
namespace {

// The script puts NET.h5 into the folder: `weights` unless it is told another.
std::string how_to_get(const std::string& net, const std::string& weights_dir) {
  return "tools/fetch-weights " + (weights_dir.empty() ? "" : "--out " + weights_dir + " ") + net;
}

ComparedNet described(const CompareOptions& o, const std::string& name) {
  const NetInfo& net = find_net(name);
  ComparedNet c{.net = net.name};
  const int64_t side = image_side(o.train, net.name);
  c.parameters = build(features_of(net), {1, side, side, 3}).count();
  for (const Layer& l : list_layers(features_of(net), {1, side, side, 3})) c.macs += l.macs;
  const std::filesystem::path file = std::filesystem::path(o.weights_dir) / (net.name + ".h5");
  if (!o.weights_dir.empty() && std::filesystem::exists(file)) {
    c.weights = file.string(), c.kind = "pretrained";
    c.weights_sha256 = sha256_hex(read_bytes(file, "hashing", int64_t{1} << 34));
  } else if (!o.weights.empty()) {
    c.weights = o.weights, c.kind = o.weights == "none" ? "none" : "formula";
  } else {
    c.get = how_to_get(net.name, o.weights_dir);
  }
  return c;
}

void check(const CompareOptions& o) {
  if (o.nets.empty()) fail(ErrorKind::usage, "--nets: name at least one net");
  for (size_t i = 0; i < o.nets.size(); ++i) {
    find_net(o.nets[i]);
    if (std::find(o.nets.begin(), o.nets.begin() + long(i), o.nets[i]) != o.nets.begin() + long(i))
      fail(ErrorKind::usage, "--nets names ", o.nets[i], " twice");
  }
  if (!o.weights.empty() && o.weights != "none" && o.weights != "formula" && !o.weights.starts_with("formula:"))
    fail(ErrorKind::usage, "--weights ", o.weights, ": known are formula[:SALT] and none; files lie in --weights-dir, named NET.h5");
  if (!o.weights_dir.empty() && !std::filesystem::is_directory(o.weights_dir))
    fail(ErrorKind::weights, "--weights-dir ", o.weights_dir, ": there is no such folder; it holds NET.h5 for the nets there are");
}

}  // namespace

void bind(Command& c, CompareOptions& o) {
  bind_training(c, o.train);
  c.option("--weights-dir", o.weights_dir, "folder with NET.h5 for the nets there are, as ptrain-convert writes them")->option_text("W");
  c.option("--weights", o.weights, "for nets that are not there: formula[:SALT], none (random); unless given they are listed as missing");
  c.option("--nets", o.nets, "which nets");
}

std::vector<const ComparedNet*> Comparison::trained() const {
  std::vector<const ComparedNet*> list;
  for (const ComparedNet& net : nets)
    if (net.trained()) list.push_back(&net);
  return list;
}

Comparison compare(Bench& bench, const CompareOptions& o, const Split& whole, const std::filesystem::path& out, bool resume) {
  check(o);
  Comparison c;
  for (const std::string& name : o.nets) c.nets.push_back(described(o, name));
  for (const ComparedNet& net : c.nets)
    if (!net.trained()) bench.say("missing     " + net.net + ": there are no weights; get them with\n  " + net.get);
  if (c.trained().empty())
    fail(ErrorKind::weights, "comparing nets: none of them has weights; give --weights-dir W with W/NET.h5 (", c.nets.front().get,
         " gets one), or --weights formula to try the program out");

  const Split split = take_fraction(bench.manifest, whole, o.train.fraction, o.train.seed);
  c.images = int64_t(split.of(Part::train).size());
  bench.say("compare     " + describe(bench.manifest, split.of(Part::train)) + " to train, " +
            describe(bench.manifest, split.of(Part::val)) + " to choose");
  for (ComparedNet& net : c.nets) {
    if (!net.trained()) continue;
    bench.say(fmt::format("net         {} ({}), {:.1f} million parameters, {:.0f} million multiply-adds", net.net,
                          net.kind == "pretrained" ? net.weights : net.kind + " weights", double(net.parameters) / 1e6,
                          double(net.macs) / 1e6));
    Model model(model_spec(o.train, net.net, bench.manifest), bench.memory);
    load_base(model, net.weights, o.train.seed);
    FitOptions options = fit_options(o.train, model);
    options.stages.resize(1);  // the frozen one
    net.run = train_net(bench, model, options, split, out / report_files::kNets / net.net, resume);
  }

  std::vector<metrics::Predictions> predictions;
  std::vector<Candidate> candidates;
  for (const ComparedNet* net : c.trained()) {
    predictions.push_back(net->run.val);
    candidates.push_back({net->net, net->run.val_evaluation.metric("auc").value, double(net->macs)});
  }
  c.pairs = test_pairs(predictions, positive_class(o.train.positive, bench.manifest.classes));
  c.choice = choose(candidates, c.pairs);
  return c;
}

}  // namespace ptrain::cli
