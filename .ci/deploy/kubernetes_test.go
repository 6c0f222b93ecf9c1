//go:build deploy

package deploy

import (
	"bytes"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer/json"
	"k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

const dir = "../../deploy"

// installation is what one kustomization makes.
type installation struct {
	templates map[string]*corev1.PodTemplateSpec // by kind/name
	services  map[string]*corev1.Service
	objects   []runtime.Object
}

// build runs kustomize and decodes every object as the API server does, where
// a key that its type does not have is an error.
func build(t *testing.T, name string) installation {
	t.Helper()
	m, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), filepath.Join(dir, "kubernetes", name))
	if err != nil {
		t.Fatal(err)
	}
	out, err := m.AsYaml()
	if err != nil {
		t.Fatal(err)
	}
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{appsv1.AddToScheme, autoscalingv2.AddToScheme, corev1.AddToScheme, networkingv1.AddToScheme, policyv1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	strict := json.NewSerializerWithOptions(json.DefaultMetaFactory, scheme, scheme, json.SerializerOptions{Yaml: true, Strict: true})
	in := installation{templates: map[string]*corev1.PodTemplateSpec{}, services: map[string]*corev1.Service{}}
	docs := yaml.NewDocumentDecoder(io.NopCloser(bytes.NewReader(out)))
	for {
		buf := make([]byte, 1<<20)
		n, err := docs.Read(buf)
		if err == io.EOF {
			return in
		}
		if err != nil {
			t.Fatal(err)
		}
		o, _, err := strict.Decode(buf[:n], nil, nil)
		if err != nil {
			t.Fatalf("%s: %v\n%s", name, err, buf[:n])
		}
		in.objects = append(in.objects, o)
		switch o := o.(type) {
		case *appsv1.StatefulSet:
			in.templates["StatefulSet/"+o.Name] = &o.Spec.Template
			selects(t, o.Name, o.Spec.Selector, o.Spec.Template.Labels)
		case *appsv1.Deployment:
			in.templates["Deployment/"+o.Name] = &o.Spec.Template
			selects(t, o.Name, o.Spec.Selector, o.Spec.Template.Labels)
		case *corev1.Service:
			in.services[o.Name] = o
		}
	}
}

func selects(t *testing.T, what string, s *metav1.LabelSelector, l map[string]string) {
	t.Helper()
	sel, err := metav1.LabelSelectorAsSelector(s)
	if err != nil || sel.Empty() || !sel.Matches(labels.Set(l)) {
		t.Errorf("%s: the selector %v does not choose %v (%v)", what, s, l, err)
	}
}

func TestKubernetes(t *testing.T) {
	for name, want := range map[string][]string{
		"single":  {"StatefulSet/clyde"},
		"sidecar": {"StatefulSet/clyde"},
		"split":   {"Deployment/clyde-indexer", "Deployment/clyde-pages", "Deployment/clyde-registry"},
	} {
		t.Run(name, func(t *testing.T) {
			in := build(t, name)
			var got []string
			for k, tpl := range in.templates {
				got = append(got, k)
				checkPod(t, k, tpl, in)
			}
			slices.Sort(got)
			if !slices.Equal(got, want) {
				t.Errorf("it runs %v; want %v", got, want)
			}
			budgets, scalers, policies := 0, 0, 0
			for _, o := range in.objects {
				switch o := o.(type) {
				case *networkingv1.Ingress:
					for _, r := range o.Spec.Rules {
						for _, p := range r.HTTP.Paths {
							s := in.services[p.Backend.Service.Name]
							if s == nil || !slices.ContainsFunc(s.Spec.Ports, func(port corev1.ServicePort) bool { return port.Name == p.Backend.Service.Port.Name }) {
								t.Errorf("the path %s goes to %s, which is not there", p.Path, p.Backend.Service.Name)
							}
						}
					}
				case *autoscalingv2.HorizontalPodAutoscaler:
					scalers++
					tpl := in.templates[o.Spec.ScaleTargetRef.Kind+"/"+o.Spec.ScaleTargetRef.Name]
					if tpl == nil || tpl.Spec.Containers[0].Resources.Requests.Cpu().IsZero() {
						t.Errorf("%s scales %s, which is not there or asks for no CPU", o.Name, o.Spec.ScaleTargetRef.Name)
					}
				case *policyv1.PodDisruptionBudget:
					budgets++
					chosen := 0
					for _, tpl := range in.templates {
						if sel, _ := metav1.LabelSelectorAsSelector(o.Spec.Selector); sel.Matches(labels.Set(tpl.Labels)) {
							chosen++
						}
					}
					if chosen != 1 {
						t.Errorf("the budget %s is of %d workloads", o.Name, chosen)
					}
				case *networkingv1.NetworkPolicy:
					policies++
					for k, tpl := range in.templates {
						selects(t, "the policy for "+k, &o.Spec.PodSelector, tpl.Labels)
						for _, rule := range o.Spec.Ingress {
							for _, p := range rule.Ports {
								if !slices.ContainsFunc(tpl.Spec.Containers[0].Ports, func(c corev1.ContainerPort) bool { return c.Name == p.Port.String() }) {
									t.Errorf("the policy opens %s, which %s does not have", p.Port, k)
								}
							}
						}
					}
				}
			}
			if policies == 0 || name == "split" && (budgets != 3 || scalers != 2) {
				t.Errorf("%d policies, %d budgets, %d scalers", policies, budgets, scalers)
			}
		})
	}
}

// checkPod is what must be true of every pod: nothing of the host, no rights,
// probes, limits, and volumes that are there.
func checkPod(t *testing.T, name string, tpl *corev1.PodTemplateSpec, in installation) {
	t.Helper()
	s := tpl.Spec
	sc := s.SecurityContext
	if sc == nil || sc.RunAsNonRoot == nil || !*sc.RunAsNonRoot || sc.RunAsUser == nil || *sc.RunAsUser != 65532 || sc.SeccompProfile == nil || sc.SeccompProfile.Type != corev1.SeccompProfileTypeRuntimeDefault ||
		s.HostNetwork || s.HostPID || s.HostIPC || s.AutomountServiceAccountToken == nil || *s.AutomountServiceAccountToken {
		t.Errorf("%s: the pod has more rights than it needs: %+v", name, sc)
	}
	if s.EnableServiceLinks == nil || *s.EnableServiceLinks {
		t.Errorf("%s: services of the cluster become variables named CLYDE_…, which are settings", name)
	}
	for _, c := range s.Containers {
		cs := c.SecurityContext
		if cs == nil || cs.AllowPrivilegeEscalation == nil || *cs.AllowPrivilegeEscalation || cs.ReadOnlyRootFilesystem == nil || !*cs.ReadOnlyRootFilesystem ||
			cs.Capabilities == nil || !slices.Equal(cs.Capabilities.Drop, []corev1.Capability{"ALL"}) || len(cs.Capabilities.Add) > 0 {
			t.Errorf("%s: the container has more rights than it needs: %+v", name, cs)
		}
		if c.Resources.Limits.Memory().IsZero() || c.Resources.Requests.Memory().IsZero() {
			t.Errorf("%s: no bound of memory", name)
		}
		for what, p := range map[string]*corev1.Probe{"/healthz ": c.LivenessProbe, "/healthz": c.StartupProbe, "/readyz": c.ReadinessProbe} {
			if p == nil || p.HTTPGet == nil || p.HTTPGet.Path != strings.TrimSpace(what) || p.HTTPGet.Port.String() != "http" {
				t.Errorf("%s: a probe of %s is missing or asks for something else: %+v", name, what, p)
			}
		}
		if !strings.Contains(c.Image, ":") {
			t.Errorf("%s: the image %s has no tag", name, c.Image)
		}
		for _, m := range c.VolumeMounts {
			named := slices.ContainsFunc(s.Volumes, func(v corev1.Volume) bool { return v.Name == m.Name })
			for _, o := range in.objects {
				if set, ok := o.(*appsv1.StatefulSet); ok {
					named = named || slices.ContainsFunc(set.Spec.VolumeClaimTemplates, func(v corev1.PersistentVolumeClaim) bool { return v.Name == m.Name })
				}
			}
			if !named {
				t.Errorf("%s: %s is mounted and is not there", name, m.Name)
			}
		}
	}
	for _, v := range s.Volumes {
		if v.ConfigMap != nil && !slices.ContainsFunc(in.objects, func(o runtime.Object) bool {
			m, ok := o.(*corev1.ConfigMap)
			return ok && m.Name == v.ConfigMap.Name && m.Data["clyde.yaml"] != ""
		}) {
			t.Errorf("%s: the configuration %s is not made", name, v.ConfigMap.Name)
		}
		if v.Secret != nil && (v.Secret.DefaultMode == nil || *v.Secret.DefaultMode != 0o440) {
			t.Errorf("%s: the secret %s is open to others: %v", name, v.Secret.SecretName, v.Secret.DefaultMode)
		}
	}
}
