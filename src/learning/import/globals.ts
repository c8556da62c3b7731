/**
 * The classes and functions that a pickle may name, and what each becomes here: numpy's arrays,
 * Torch's tensors, and estimators as a name with attributes. The names of everything else are
 * refused, so that no pickle can reach anything that runs.
 */
import { readJoblibArray } from "./joblib.ts";
import {
  frombuffer,
  reconstruct,
  setArrayState,
  setDtypeState,
  toDtype,
  toScalar,
} from "./numpy.ts";
import type { Budget, Globals } from "./pickle-options.ts";
import { loadFromBytes, rebuildTensor } from "./torch-storage.ts";
import {
  Dtype,
  Instance,
  Named,
  NumericArray,
  refuseImport,
  Tensor,
  type Value,
} from "./values.ts";

export const globals: Globals = {
  find(module, name) {
    const full = `${modern(module)}.${name}`;
    if (isKnown(full)) return new Named(full);
    return refuseImport(refusalOf(`${module}.${name}`));
  },
  call({ name }, args, budget) {
    const make = Object.hasOwn(makers, name) ? makers[name] : undefined;
    if (make) return make(args, budget);
    if (name.startsWith("torch."))
      refuseImport(`the pickle calls ${name}, which is not called here`);
    return new Instance(name, args);
  },
  build(target, state, reader, options) {
    if (target instanceof NumericArray) setArrayState(target, state);
    else if (target instanceof Dtype) setDtypeState(target, state);
    else if (target instanceof Instance) {
      target.state = state;
      if (target.type === wrapper) return readJoblibArray(target, reader, options);
    } else if (!(target instanceof Map || target instanceof Tensor)) {
      refuseImport("the pickle gives a state to something that has none");
    }
    return target; // an OrderedDict's attributes (Torch's _metadata) say nothing of its items
  },
};

const wrapper = "joblib.numpy_pickle.NumpyArrayWrapper";

/** numpy 2 and Python 2 have other names for the same things. */
function modern(module: string): string {
  if (module === "copy_reg") return "copyreg";
  if (module === "__builtin__") return "builtins";
  return module.replace(/^numpy\._core\./, "numpy.core.");
}

type Maker = (args: readonly Value[], budget: Budget) => Value;

const makers: Readonly<Record<string, Maker>> = {
  "numpy.core.multiarray._reconstruct": reconstruct,
  "numpy.core.multiarray.scalar": toScalar,
  "numpy.core.numeric._frombuffer": frombuffer,
  "numpy.dtype": toDtype,
  "_codecs.encode": encode,
  "copyreg._reconstructor": ([type]) =>
    type instanceof Named ? new Instance(type.name, []) : refuseImport("an object has no class"),
  "collections.OrderedDict": ([pairs = []]) => toMap(pairs),
  "builtins.set": ([items = []]) => items,
  "builtins.frozenset": ([items = []]) => items,
  "builtins.bytearray": ([bytes = new Uint8Array()]) => bytes,
  "torch._utils._rebuild_tensor_v2": rebuildTensor,
  "torch._utils._rebuild_parameter": ([data = null]) => data,
  "torch.storage._load_from_bytes": ([bytes = null], budget) =>
    loadFromBytes(bytes, { globals, budget }),
};

/** Bytes in the protocols before 3: a text of as many characters. */
function encode([text, encoding]: readonly Value[]): Uint8Array {
  if (typeof text !== "string" || encoding !== "latin1") {
    return refuseImport("the pickle encodes a text in another way than its bytes are written");
  }
  return Uint8Array.from(text, (character) => {
    const code = character.codePointAt(0) ?? 256;
    return code < 256 ? code : refuseImport("the pickle's bytes hold a character beyond 255");
  });
}

function toMap(pairs: Value): Map<Value, Value> {
  const map = new Map<Value, Value>();
  if (!Array.isArray(pairs)) return map;
  for (const pair of pairs as readonly Value[]) {
    if (!Array.isArray(pair) || pair.length !== 2) refuseImport("a dict's item is no pair");
    map.set(pair[0] as Value, pair[1] as Value);
  }
  return map;
}

/** Estimators, and what they keep beside what they learnt: by name, under any module of sklearn. */
const estimators: ReadonlySet<string> = new Set(
  (
    "KNeighborsClassifier SVC LinearSVC LogisticRegression MLPClassifier MLPRegressor Pipeline " +
    "GridSearchCV RandomizedSearchCV LabelEncoder LabelBinarizer " +
    "StandardScaler MinMaxScaler MaxAbsScaler RobustScaler Normalizer PCA TruncatedSVD " +
    "AdamOptimizer SGDOptimizer KDTree KDTree32 KDTree64 BallTree BallTree32 BallTree64 newObj " +
    "EuclideanDistance ManhattanDistance ChebyshevDistance MinkowskiDistance " +
    "EuclideanDistance32 ManhattanDistance32 ChebyshevDistance32 MinkowskiDistance32 " +
    "EuclideanDistance64 ManhattanDistance64 ChebyshevDistance64 MinkowskiDistance64 " +
    "KFold StratifiedKFold _passthrough_scorer _PassthroughScorer Bunch"
  ).split(" "),
);

const storages: ReadonlySet<string> = new Set(
  "Float Double Half BFloat16 Long Int Short Char Byte Bool"
    .split(" ")
    .map((kind) => `torch.${kind}Storage`),
);

/** Names that become an object with nothing behind it. */
const inert: ReadonlySet<string> = new Set([
  wrapper,
  "builtins.object",
  "builtins.slice",
  "numpy.ndarray",
  "numpy.ma.MaskedArray",
  "numpy.ma.core.MaskedArray",
  "numpy.ma.core._mareconstruct",
  "numpy.random._pickle.__randomstate_ctor",
  "numpy.random._pickle.__bit_generator_ctor",
  "numpy.random._pickle.__generator_ctor",
  "numpy.random._mt19937.MT19937",
  "numpy.random._pcg64.PCG64",
  "pandas.Series",
  "pandas.Index",
  "pandas.StringDtype",
  "pandas.arrays.StringArray",
  "pandas.core.series.Series",
  "pandas.core.indexes.base.Index",
  "pandas.core.indexes.base._new_Index",
  "pandas.core.internals.managers.SingleBlockManager",
  "pandas.core.arrays.string_.StringArray",
  "pandas.core.arrays.string_.StringDtype",
  "pandas._libs.arrays.__pyx_unpickle_NDArrayBacked",
  "pandas._libs.internals._unpickle_block",
]);

function isKnown(full: string): boolean {
  if (Object.hasOwn(makers, full) || inert.has(full) || storages.has(full)) return true;
  const dot = full.lastIndexOf(".");
  return /^sklearn(\.\w+)+$/.test(full) && estimators.has(full.slice(dot + 1));
}

function refusalOf(full: string): string {
  const shown = full.replace(/[^\x20-\x7e]/g, "?").slice(0, 120);
  const nothing = "Nothing of the file was run.";
  if (/^torch\.nn\./.test(full) || /^__main__\./.test(full)) {
    return (
      `the file is a whole object of class ${shown}, which only its own code can read. ${nothing} ` +
      "Where it is a Torch module, save its numbers: torch.save(model.state_dict(), 'router.pt')."
    );
  }
  if (/^sklearn\./.test(full)) {
    return `${shown} is not among the estimators that are read. ${nothing} They are: ${readable}.`;
  }
  return `the file asks for ${shown}, which is not among the classes that are read. ${nothing}`;
}

export const readable =
  "KNeighborsClassifier, SVC, LinearSVC, LogisticRegression, MLPClassifier, MLPRegressor, alone or " +
  "in a Pipeline behind StandardScaler, MinMaxScaler, MaxAbsScaler, RobustScaler, Normalizer, PCA " +
  "or TruncatedSVD";
