// ptrain nets: what the five nets are made of.
#include <iostream>

#include <nlohmann/json.hpp>

#include "nets/build.hpp"
#include "tools/ptrain/commands.hpp"

namespace ptrain::cli {
namespace {

struct NetsOptions {
  std::string net;
  bool layers = false, top = false, json = false;
};

std::string dims(const Shape& s) {  // without the batch
  std::string text;
  for (int i = 1; i < s.rank(); ++i) text += (i > 1 ? "x" : "") + std::to_string(s[i]);
  return text;
}

struct Summary {
  int64_t params = 0, trainable = 0, tensors = 0, macs = 0;
  std::vector<Layer> layers;
};

Summary summarise(const NetInfo& net, bool top) {
  const NetFunction f = top ? with_top(net) : features_of(net);
  const Shape input{1, net.input_size, net.input_size, 3};
  const Params params = build(f, input);
  Summary s{
      .params = params.count(), .trainable = params.count(true), .tensors = int64_t(params.list().size()), .layers = list_layers(f, input)};
  for (const Layer& l : s.layers) s.macs += l.macs;
  return s;
}

nlohmann::ordered_json to_json(const NetInfo& net, const Summary& s, bool layers) {
  nlohmann::ordered_json j{
      {"name", net.name},         {"keras_name", net.keras_name},   {"parameters", s.params}, {"trainable_parameters", s.trainable},
      {"tensors", s.tensors},     {"layers", s.layers.size()},      {"macs", s.macs},         {"input_size", net.input_size},
      {"min_size", net.min_size}, {"preprocessing", net.preprocess}};
  if (!layers) return j;
  j["layer_list"] = nlohmann::ordered_json::array();
  for (size_t i = 0; i < s.layers.size(); ++i) {
    const Layer& l = s.layers[i];
    std::vector<int64_t> shape(l.output.begin() + 1, l.output.end());
    j["layer_list"].push_back(
        {{"index", i}, {"class", l.spec.type}, {"name", l.spec.name}, {"output", shape}, {"parameters", l.params}, {"macs", l.macs}});
  }
  return j;
}

void run(const NetsOptions& o) {
  std::vector<const NetInfo*> nets;
  if (o.net.empty())
    for (const NetInfo& net : net_table()) nets.push_back(&net);
  else nets.push_back(&find_net(o.net));

  nlohmann::ordered_json all = nlohmann::ordered_json::array();
  if (!o.json)
    fmt::print("{:<14}{:>12}{:>12}{:>9}{:>8}{:>10}{:>8}{:>6}  {}\n", "net", "parameters", "trainable", "tensors", "layers", "MMACs",
               "input", "min", "preprocessing");
  for (const NetInfo* net : nets) {
    const Summary s = summarise(*net, o.top);
    if (o.json) {
      all.push_back(to_json(*net, s, o.layers));
      continue;
    }
    fmt::print("{:<14}{:>12}{:>12}{:>9}{:>8}{:>10.0f}{:>8}{:>6}  {}\n", net->name, s.params, s.trainable, s.tensors, s.layers.size(),
               double(s.macs) / 1e6, net->input_size, net->min_size, net->preprocess);
    if (!o.layers) continue;
    for (size_t i = 0; i < s.layers.size(); ++i)
      fmt::print("{:>5}  {:<24}{:<34}{:>16}{:>12}\n", i, s.layers[i].spec.type, s.layers[i].spec.name, dims(s.layers[i].output),
                 s.layers[i].params);
  }
  if (o.json) std::cout << all.dump(2) << "\n";
}

}  // namespace

std::unique_ptr<Command> nets_command(CLI::App& program) {
  auto command =
      std::make_unique<Command>(program, "nets", "list the nets: parameters, tensors, multiply-adds, layers",
                                "  ptrain nets\n"
                                "  ptrain nets --net mobilenet_v2 --layers      # Keras' layers, for --freeze-until and --layer");
  const auto o = std::make_shared<NetsOptions>();
  command->option("--net", o->net, "only this one");
  command->flag("--layers", o->layers, "list Keras' layers with their output shapes");
  command->flag("--top", o->top, "with the ImageNet classifier");
  command->flag("--json", o->json, "write JSON to stdout");
  command->run = [o] { run(*o); };
  return command;
}

}  // namespace ptrain::cli
