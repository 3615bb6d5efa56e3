#include "tools/convert/match.hpp"

#include <algorithm>
#include <map>
#include <optional>
#include <set>

namespace ptrain::convert {
namespace {

constexpr size_t kListed = 12;  // problems in a message

std::string label(const SourceLayer& l) { return l.name.empty() || l.name == l.path ? l.path : l.name + " (" + l.path + ")"; }
std::string label(const NetLayout& l) { return l.keras_net + " (" + l.net + ")"; }

class Attempt {
 public:
  Attempt(const NetLayout& net, const Naming& naming, const Source& source, const std::string& below) : net_(net), source_(source) {
    m_.layout = &net, m_.naming = &naming;
    m_.places.resize(net.tensors.size());
    m_.used.assign(source.layers.size(), 0);
    std::vector<std::string> names = naming.layers(net, source.layers);
    for (size_t i = 0; i < names.size(); ++i)
      if (!below.empty() && source.layers[i].path.compare(0, below.size(), below) != 0) names[i].clear();
    if (naming.in_order) check_order(names);
    std::map<std::string, int> by_name;
    for (size_t i = 0; i < names.size(); ++i) {
      if (names[i].empty()) continue;
      const auto [it, is_new] = by_name.emplace(names[i], int(i));
      if (!is_new)
        twice_ = true, problem("twice    ", names[i], ": ", source.layers[size_t(it->second)].path, " and ", source.layers[i].path);
    }
    for (const LayoutLayer& l : net.layers) layer(l, by_name.contains(l.name) ? by_name[l.name] : -1);
  }

  Match take() { return std::move(m_); }
  bool twice() const { return twice_; }

 private:
  template <class... Parts>
  void problem(const Parts&... parts) {
    m_.problems.push_back(concat(parts...));
  }

  // Where the file has an order of its own, it must be Keras': a file whose names and places disagree has been tampered with.
  void check_order(const std::vector<std::string>& names) {
    std::map<std::pair<std::string, std::string>, std::vector<size_t>> sequences;
    for (size_t i = 0; i < names.size(); ++i)
      if (!names[i].empty() && source_.layers[i].number >= 0) sequences[{source_.layers[i].place, source_.layers[i].kind}].push_back(i);
    for (auto& [key, sequence] : sequences) {
      std::stable_sort(sequence.begin(), sequence.end(),
                       [&](size_t a, size_t b) { return source_.layers[a].number < source_.layers[b].number; });
      for (size_t i = 1; i < sequence.size(); ++i)
        if (net_.find(names[sequence[i - 1]]) > net_.find(names[sequence[i]])) {
          problem("order    ", names[sequence[i - 1]], " stands before ", names[sequence[i]],
                  ", in Keras it comes after it: names and order disagree");
          return;
        }
    }
  }

  void layer(const LayoutLayer& wanted, int index) {
    if (index < 0) {
      for (size_t i = 0; i < wanted.count; ++i) {
        const LayoutTensor& t = net_.tensors[wanted.first + i];
        problem("missing  ", t.layer, "/", t.var, " ", str(t.shape));
      }
      return;
    }
    const SourceLayer& source = source_.layers[size_t(index)];
    m_.used[size_t(index)] = 1;
    for (size_t i = 0; i < source.tensors.size(); ++i) tensor(wanted, index, i);
    for (size_t i = 0; i < wanted.count; ++i) {
      const LayoutTensor& t = net_.tensors[wanted.first + i];
      if (m_.places[wanted.first + i].layer < 0)
        problem("missing  ", t.layer, "/", t.var, " ", str(t.shape), ": the file's layer ", label(source), " has ", source.tensors.size(),
                " of ", wanted.count, " tensors");
    }
  }

  void tensor(const LayoutLayer& wanted, int index, size_t i) {
    const SourceLayer& source = source_.layers[size_t(index)];
    const SourceTensor& found = source.tensors[i];
    const std::string var = m_.naming->variable(net_, wanted, source, i);
    for (size_t k = wanted.first; k < wanted.first + wanted.count; ++k) {
      const LayoutTensor& t = net_.tensors[k];
      if (t.var != var) continue;
      if (m_.places[k].layer >= 0) return problem("twice    ", t.layer, "/", t.var);
      m_.places[k] = {index, int(i)};
      if (found.element > hdf5::Element::float64 && !found.bfloat16)
        problem("type     ", t.layer, "/", t.var, " holds ",
                found.element == hdf5::Element::integer ? "integers" : "text, records or raw bytes", ": no weight tensor");
      if (found.shape != t.shape)
        problem("shape    ", t.layer, "/", t.var, " is ", str(found.shape), " in the file, ", str(t.shape), " is wanted");
      else ++m_.fitting;
      return;
    }
    problem("unknown  ", found.path, " ", str(found.shape), ": ", wanted.name, " has no such variable");
  }

  const NetLayout& net_;
  const Source& source_;
  Match m_;
  bool twice_ = false;
};

// When a file holds a net several times, each copy alone.
std::optional<Match> one_copy(const NetLayout& net, const Naming& naming, const Source& source) {
  std::map<std::string, int> places;
  for (const SourceLayer& l : source.layers)
    for (size_t slash = l.path.find('/'); slash != std::string::npos; slash = l.path.find('/', slash + 1))
      ++places[l.path.substr(0, slash + 1)];
  std::vector<std::pair<std::string, Match>> complete;
  for (const auto& [place, count] : places) {
    if (size_t(count) < net.layers.size()) continue;
    Match m = Attempt(net, naming, source, place).take();
    if (!m.complete()) continue;
    if (!complete.empty() && place.starts_with(complete.back().first)) complete.pop_back();  // the same copy, closer
    complete.emplace_back(place, std::move(m));
  }
  if (complete.size() > 1)
    fail(ErrorKind::weights, "the file holds ", label(net), " ", complete.size(), " times: below '", complete[0].first, "' and '",
         complete[1].first, "'");
  if (complete.empty()) return {};
  return std::move(complete.front().second);
}

std::string listing(const std::vector<std::string>& lines) {
  std::string text;
  for (size_t i = 0; i < std::min(lines.size(), kListed); ++i) text += "\n  " + lines[i];
  if (lines.size() > kListed) text += concat("\n  … and ", lines.size() - kListed, " more");
  return text;
}

bool better(const Match& a, const Match& b, const std::string& asked) {
  if (a.complete() != b.complete()) return a.complete();
  if (const bool is_asked = a.layout->keras_net == asked; a.complete() && is_asked != (b.layout->keras_net == asked)) return is_asked;
  if (a.complete()) return a.layout->tensors.size() > b.layout->tensors.size();        // with top rather than without
  return a.fitting * b.layout->tensors.size() > b.fitting * a.layout->tensors.size();  // by the share that fits
}

[[noreturn]] void refuse(const Match& m, const Source& source, const std::string& asked) {
  const NetLayout& net = *m.layout;
  const size_t layers = size_t(std::count(m.used.begin(), m.used.end(), 1));
  if (m.fitting * 10 < net.tensors.size()) {
    std::vector<std::string> lines;
    for (const SourceLayer& l : source.layers) lines.push_back(label(l));
    fail(ErrorKind::weights, "holds none of the nets VGG16, MobileNetV2, DenseNet121, InceptionV3, ResNet50; its ", lines.size(),
         " layers with weights are", listing(lines));
  }
  fail(ErrorKind::weights, "looks like ", label(net), net.top ? " with top" : " without top",
       asked.empty() || asked == net.keras_net ? "" : concat(" (", asked, " was asked for)"), ", but does not hold all of it: ", layers,
       " of ", net.layers.size(), " layers are there, ", m.fitting, " of ", net.tensors.size(), " tensors fit by name and shape",
       listing(m.problems));
}

}  // namespace

Match find_match(const std::vector<NetLayout>& layouts, const Source& source, const std::string& asked) {
  if (source.layers.empty()) fail(ErrorKind::weights, "no layer in the file has weights: nothing would be loaded");
  std::optional<Match> best;
  std::set<std::string> complete;
  for (const NetLayout& net : layouts)
    for (const Naming* naming : all_namings()) {
      if (*naming->keras_net && net.keras_net != naming->keras_net) continue;
      Attempt attempt(net, *naming, source, "");
      std::optional<Match> m;
      if (attempt.twice()) m = one_copy(net, *naming, source);
      if (!m) m = attempt.take();
      if (m->complete()) complete.insert(net.keras_net);
      if (!best || better(*m, *best, asked)) best = std::move(m);
    }
  if (asked.empty() && complete.size() > 1) {
    std::string nets;
    for (const std::string& n : complete) nets += (nets.empty() ? "" : " and ") + n;
    fail(ErrorKind::weights, "holds ", nets, "; say with --net which of them is wanted");
  }
  if (!best->complete()) refuse(*best, source, asked);
  if (!asked.empty() && best->layout->keras_net != asked) {
    const auto wanted = std::find_if(layouts.begin(), layouts.end(), [&](const NetLayout& l) { return l.keras_net == asked; });
    fail(ErrorKind::weights, "holds ", label(*best->layout), ", not ", label(*wanted));
  }
  return std::move(*best);
}

}  // namespace ptrain::convert
