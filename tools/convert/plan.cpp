#include "tools/convert/plan.hpp"

#include <algorithm>

namespace ptrain::convert {
namespace {

using nlohmann::json;

constexpr size_t kMaxText = 500, kMaxList = 100'000, kListed = 12;

// Layers that only a deeper net of the same family has: with them left out it would still be the wrong net.
struct Relative {
  const char *keras_net, *layer, *what;
};
constexpr Relative kRelatives[] = {
    {"VGG16", "block3_conv4", "VGG19"},
    {"ResNet50", "conv4_block7_1_conv", "ResNet101 or ResNet152"},
    {"DenseNet121", "conv4_block25_1_conv", "DenseNet169 or DenseNet201"},
};

void refuse_relatives(const NetLayout& net, const Source& source) {
  for (const Relative& r : kRelatives)
    for (const SourceLayer& l : source.layers)
      if (net.keras_net == r.keras_net && last_part(l.name) == r.layer)
        fail(ErrorKind::weights, "holds ", r.what, " (it has the layer ", r.layer, "), not ", net.keras_net);
}

// A classifier's layer that is there in part must not pass for a user's head.
void refuse_half_top(const Match& m, const Source& source, const std::vector<NetLayout>& layouts) {
  const auto with_top = std::find_if(layouts.begin(), layouts.end(), [&](const NetLayout& l) { return l.net == m.layout->net && l.top; });
  for (size_t i = 0; i < source.layers.size(); ++i) {
    const SourceLayer& l = source.layers[i];
    const int index = m.used[i] || m.layout->top ? -1 : with_top->find(last_part(l.name));
    if (index < 0) continue;
    const LayoutLayer& wanted = with_top->layers[size_t(index)];
    for (const SourceTensor& t : l.tensors)
      if (l.tensors.size() != wanted.count && t.shape == with_top->tensors[wanted.first].shape)
        fail(ErrorKind::weights, "layer ", l.name, " of the ImageNet top has ", l.tensors.size(), " tensors, ", wanted.count,
             " are needed");
  }
}

// Weights that belong neither to the net nor to the head.
bool has_others(const Match& m, const Head& head, const Source& source) {
  std::vector<char> used = m.used;
  for (const Head::Dense& d : head.dense) used[size_t(d.layer)] = 1;
  for (size_t i = 0; i < source.layers.size(); ++i)
    if (!used[i] && !source.layers[i].tensors.empty()) return true;
  return false;
}

// TensorFlow's graphs numbered the outputs of each operation; Keras 3 does not.
bool has_colons(const Source& source) { return source.layers.front().tensors.front().name.find(':') != std::string::npos; }

std::string dialect_of(const Source& source, const Match& m) {
  const bool version2 = m.naming == &kKerasNames && has_colons(source);
  return source.container + ", " + m.naming->title + (version2 ? " of Keras 2, with :0" : "");
}

template <class T>
T field(const json& j, const char* name) {
  const auto it = j.find(name);
  if (it == j.end()) fail(ErrorKind::weights, "the reader's plan has no '", name, "'");
  return it->get<T>();
}

}  // namespace

const NetLayout& layout_of(const Plan& plan, const std::vector<NetLayout>& layouts) {
  for (const NetLayout& l : layouts)
    if (l.net == plan.net && l.top == plan.top) return l;
  fail(ErrorKind::weights, "the reader's plan names an unknown net");
}

std::vector<PlanTensor> tensors_of(const Plan& plan, const std::vector<NetLayout>& layouts) {
  const NetLayout& net = layout_of(plan, layouts);
  std::vector<PlanTensor> list;
  for (const LayoutTensor& t : net.tensors) list.push_back({t.layer, t.var, t.shape});
  if (!plan.head) return list;
  const Plan::HeadPlan& h = *plan.head;
  constexpr int64_t kMaxUnits = 1 << 20;
  if (plan.top || h.units.size() > 64 || h.dropout.size() != h.units.size() || h.classes < 2 || h.classes > kMaxUnits)
    fail(ErrorKind::weights, "the reader's plan has a head that cannot be");
  int64_t width = net.features;
  for (size_t i = 0; i <= h.units.size(); ++i) {
    const bool last = i == h.units.size();
    const int64_t units = last ? h.classes : h.units[i];
    if (units < 1 || units > kMaxUnits || width * units > (int64_t(1) << 32))
      fail(ErrorKind::weights, "the reader's plan has a head that cannot be");
    const std::string name = last ? "head_out" : concat("head_", i + 1);
    list.push_back({name, "kernel", {width, units}});
    list.push_back({name, "bias", {units}});
    width = units;
  }
  return list;
}

std::string to_text(const Plan& p) {
  json j{{"dialect", p.dialect},
         {"keras_version", p.keras_version},
         {"backend", p.backend},
         {"net", p.net},
         {"top", p.top},
         {"height", p.height},
         {"width", p.width},
         {"unused", p.unused},
         {"notes", p.notes},
         {"old_names", p.old_names},
         {"preprocessing", p.preprocessing}};
  if (p.head) j["head"] = {{"units", p.head->units}, {"dropout", p.head->dropout}, {"l2", p.head->l2}, {"classes", p.head->classes}};
  return j.dump(-1, ' ', false, json::error_handler_t::replace);
}

Plan plan_from_text(const std::string& text) try {
  const json j = json::parse(text);
  Plan p{.dialect = field<std::string>(j, "dialect"),
         .keras_version = field<std::string>(j, "keras_version"),
         .backend = field<std::string>(j, "backend"),
         .net = field<std::string>(j, "net"),
         .top = field<bool>(j, "top"),
         .height = field<int64_t>(j, "height"),
         .width = field<int64_t>(j, "width"),
         .preprocessing = field<std::string>(j, "preprocessing"),
         .old_names = field<bool>(j, "old_names"),
         .head = {},
         .unused = field<std::vector<std::string>>(j, "unused"),
         .notes = field<std::vector<std::string>>(j, "notes")};
  if (j.contains("head")) {
    const json& h = j["head"];
    p.head = Plan::HeadPlan{field<std::vector<int64_t>>(h, "units"), field<std::vector<double>>(h, "dropout"), field<double>(h, "l2"),
                            field<int64_t>(h, "classes")};
  }
  for (std::string* t : {&p.dialect, &p.keras_version, &p.backend}) t->resize(std::min(t->size(), kMaxText));
  if (p.unused.size() > kMaxList || p.notes.size() > kMaxList) fail(ErrorKind::weights, "the reader's plan is too long");
  return p;
} catch (const json::exception& e) {
  fail(ErrorKind::weights, "the reader's plan cannot be understood: ", e.what());
}

Routes make_plan(const std::vector<NetLayout>& layouts, const Source& source, const PlanOptions& options) {
  if (source.backend == "theano")
    fail(ErrorKind::weights,
         "written by Keras on Theano, whose convolution kernels are turned by 180 degrees; load and save it on TensorFlow");
  const Match match = find_match(layouts, source, options.asked_net);
  const NetLayout& net = *match.layout;
  refuse_relatives(net, source);
  refuse_half_top(match, source, layouts);
  HeadSearch search = find_head(match, source);
  if (search.head && options.allow_unused && has_others(match, *search.head, source)) {
    search.head.reset();
    search.why_not = "other layers with weights are left out, without which they would give other results";
  }

  Routes r;
  r.plan = {.dialect = dialect_of(source, match),
            .keras_version = source.keras_version,
            .backend = source.backend,
            .net = net.net,
            .top = net.top,
            .height = search.height,
            .width = search.width,
            .preprocessing = search.head ? search.preprocessing : "",
            .old_names = source.container == kLegacy && has_colons(source),
            .head = {},
            .unused = {},
            .notes = std::move(search.notes)};
  std::vector<char> used = match.used;
  const auto tensor = [&](int layer, int index) { return &source.layers[size_t(layer)].tensors[size_t(index)]; };
  if (search.head) {
    const Head& h = *search.head;
    r.plan.head = Plan::HeadPlan{{}, h.dropout, h.l2, h.classes()};
    for (size_t i = 0; i + 1 < h.dense.size(); ++i) r.plan.head->units.push_back(h.dense[i].units);
    for (const Head::Dense& d : h.dense) used[size_t(d.layer)] = 1;
  }
  const std::vector<PlanTensor> wanted = tensors_of(r.plan, layouts);
  for (size_t i = 0; i < net.tensors.size(); ++i) r.routes.push_back({wanted[i], tensor(match.places[i].layer, match.places[i].tensor)});
  for (size_t i = net.tensors.size(); i < wanted.size(); ++i) {
    const Head::Dense& d = search.head->dense[(i - net.tensors.size()) / 2];
    const bool kernel = wanted[i].weight == "kernel", last = i + 2 >= wanted.size();
    r.routes.push_back({wanted[i], tensor(d.layer, kernel ? d.kernel : d.bias), search.head->sigmoid && last});
  }

  for (size_t i = 0; i < source.layers.size(); ++i)
    if (!used[i])
      for (const SourceTensor& t : source.layers[i].tensors) r.plan.unused.push_back(t.path + " " + str(t.shape));
  for (const std::string& path : source.unlisted) r.plan.unused.push_back(path + " (in no list of weights)");
  if (!r.plan.unused.empty() && !options.allow_unused) {
    std::string lines;
    for (size_t i = 0; i < std::min(r.plan.unused.size(), kListed); ++i) lines += "\n  unused   " + r.plan.unused[i];
    if (r.plan.unused.size() > kListed) lines += concat("\n  … and ", r.plan.unused.size() - kListed, " more");
    fail(ErrorKind::weights, "holds ", net.keras_net, " (", net.net, ") complete, but ", r.plan.unused.size(),
         " tensors of the file are not used", lines,
         search.why_not.empty() ? "" : "\n  the dense layers are no head that ptrain knows: " + search.why_not,
         "\n  --allow-unused converts the net and leaves them out");
  }
  if (!search.why_not.empty()) r.plan.notes.push_back("the dense layers are left out: " + search.why_not);
  if (source.bookkeeping > 0)
    r.plan.notes.push_back(concat("state of optimizers and random generators is left out (", source.bookkeeping, " tensors)"));
  return r;
}

}  // namespace ptrain::convert
